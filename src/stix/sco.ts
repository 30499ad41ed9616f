/** Types of STIX Cyber-observable Objects (STIX 2.1 section 6). Their `spec_version` is optional, and they have no `created`. */
const types: ReadonlySet<string> = new Set([
  'artifact',
  'autonomous-system',
  'directory',
  'domain-name',
  'email-addr',
  'email-message',
  'file',
  'ipv4-addr',
  'ipv6-addr',
  'mac-addr',
  'mutex',
  'network-traffic',
  'process',
  'software',
  'url',
  'user-account',
  'windows-registry-key',
  'x509-certificate',
]);

export function isScoType(type: string): boolean {
  return types.has(type);
}

import type { ObservableType } from '../../model/observable.ts';

/** Which observable an object path of a pattern names (STIX 2.1 section 9.7). */

const pathTypes: Record<string, ObservableType> = {
  'ipv4-addr:value': 'ipv4',
  'ipv6-addr:value': 'ipv6',
  'domain-name:value': 'domain',
  'url:value': 'url',
  'email-addr:value': 'email',
  'autonomous-system:number': 'asn',
  'windows-registry-key:key': 'registry-key',
  'file:name': 'file-name',
};

export function typeOfPath(object: string, property: string): ObservableType | null {
  const path = `${object}:${property}`;
  return Object.hasOwn(pathTypes, path) ? (pathTypes[path] as ObservableType) : null;
}

const hashTypes = new Map<string, ObservableType>([
  ['MD5', 'md5'],
  ['SHA1', 'sha1'],
  ['SHA256', 'sha256'],
  ['SHA512', 'sha512'],
]);

/** `SHA-256`, `SHA256`, `sha_256`: one algorithm. */
export function algorithmOf(key: string): string {
  return key.replace(/[-_]/g, '').toUpperCase();
}

export function typeOfHash(object: string, key: string): ObservableType | null {
  const type = hashTypes.get(algorithmOf(key));
  if (type === undefined) return null;
  if (object === 'file') return type;
  return object === 'x509-certificate' && type !== 'sha512' ? 'x509' : null;
}

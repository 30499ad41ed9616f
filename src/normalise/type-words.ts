import type { ObservableType } from '../model/observable.ts';

const ip = ['ipv4', 'ipv6'] as const;
const hash = ['sha256', 'md5', 'sha1', 'sha512'] as const;
const host = ['domain', 'ipv4', 'ipv6'] as const;
const network = ['ipv4', 'ipv6'] as const;

/**
 * The words of feeds for observable types, in lower case with hyphens: SOC Defenders, ThreatFox, URLhaus, MISP, OTX, STIX and ECS.
 * A word that is missing here (`mitre-attack`, `mutex`, `yara`, MISP's composites such as `filename|md5`) is an unknown type.
 */
const typeWords = new Map<string, readonly ObservableType[]>(
  Object.entries({
    ip: ip,
    'ip-addr': ip,
    'ip-address': ip,
    ipaddress: ip,
    'ip:port': ip,
    'ip-port': ip,
    'ip-src': ip,
    'ip-dst': ip,
    'ip-src|port': ip,
    'ip-dst|port': ip,
    cidr: network,
    network: network,
    subnet: network,
    ipv4: ['ipv4'],
    'ipv4-addr': ['ipv4'],
    'ipv4-cidr': ['ipv4'],
    ip4: ['ipv4'],
    ipv6: ['ipv6'],
    'ipv6-addr': ['ipv6'],
    'ipv6-cidr': ['ipv6'],
    ip6: ['ipv6'],
    domain: ['domain'],
    'domain-name': ['domain'],
    fqdn: ['domain'],
    hostname: ['domain'],
    'hostname|port': ['domain'],
    host: host,
    url: ['url'],
    uri: ['url'],
    hash: hash,
    file: hash,
    'file-hash': hash,
    filehash: hash,
    md5: ['md5'],
    'md5-hash': ['md5'],
    'filehash-md5': ['md5'],
    sha1: ['sha1'],
    'sha-1': ['sha1'],
    'sha1-hash': ['sha1'],
    'filehash-sha1': ['sha1'],
    sha256: ['sha256'],
    'sha-256': ['sha256'],
    'sha256-hash': ['sha256'],
    'filehash-sha256': ['sha256'],
    sha512: ['sha512'],
    'sha-512': ['sha512'],
    'sha512-hash': ['sha512'],
    'filehash-sha512': ['sha512'],
    email: ['email'],
    'email-addr': ['email'],
    'email-address': ['email'],
    'email-src': ['email'],
    'email-dst': ['email'],
    'email-reply-to': ['email'],
    'envelope-from': ['email'],
    as: ['asn'],
    asn: ['asn'],
    'autonomous-system': ['asn'],
    'registry-key': ['registry-key'],
    regkey: ['registry-key'],
    registry: ['registry-key'],
    'windows-registry-key': ['registry-key'],
    x509: ['x509'],
    'x509-certificate': ['x509'],
    'x509-fingerprint-md5': ['x509'],
    'x509-fingerprint-sha1': ['x509'],
    'x509-fingerprint-sha256': ['x509'],
    sslcertfingerprint: ['x509'],
    'ssl-cert': ['x509'],
    filename: ['file-name'],
    'file-name': ['file-name'],
    cve: ['cve'],
    vulnerability: ['cve'],
  }),
);

/** The types that a feed's word may mean; null for an unknown word. */
export function typesOfWord(word: string): readonly ObservableType[] | null {
  return (
    typeWords.get(word) ??
    typeWords.get(
      word
        .trim()
        .toLowerCase()
        .replace(/[_\s]+/g, '-'),
    ) ??
    null
  );
}

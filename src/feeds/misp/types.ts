import type { FeedRow } from '../feed.ts';

/** What the value of an attribute holds, by MISP's word for its type (MISP core format, "type"). */
type Read = (value: string) => Partial<FeedRow>[];

const as =
  (type: string): Read =>
  (value) => [{ value, type }];

/** `address|port` and `name|port`. */
const withPort =
  (type: string): Read =>
  (value) => {
    const [first, port] = cut(value, value.lastIndexOf('|'));
    return [{ value: first, type, port }];
  };

/** `name|hash`. The name may hold a bar, the hash can't. */
const withName =
  (type: string): Read =>
  (value) => {
    const [name, hash] = cut(value, value.lastIndexOf('|'));
    return [hash === null ? { value: name, type } : { value: hash, type, name }];
  };

/** Each type that can be an indicator of Sluice. All others say something about an event, or are found by no list: text, yara, mutex. */
const types = new Map<string, Read>(
  Object.entries({
    'ip-src': as('ip'),
    'ip-dst': as('ip'),
    'ip-src|port': withPort('ip'),
    'ip-dst|port': withPort('ip'),
    domain: as('domain'),
    hostname: as('domain'),
    'hostname|port': withPort('domain'),
    'domain|ip': (value: string) => {
      const [domain, ip] = cut(value, value.indexOf('|'));
      const rows = [{ value: domain, type: 'domain' }];
      return ip === null ? rows : [...rows, { value: ip, type: 'ip' }];
    },
    url: as('url'),
    uri: as('url'),
    md5: as('md5'),
    sha1: as('sha1'),
    sha256: as('sha256'),
    sha512: as('sha512'),
    filename: as('filename'),
    'filename|md5': withName('md5'),
    'filename|sha1': withName('sha1'),
    'filename|sha256': withName('sha256'),
    'filename|sha512': withName('sha512'),
    'malware-sample': withName('md5'),
    email: as('email'),
    'email-src': as('email'),
    'email-dst': as('email'),
    'email-reply-to': as('email'),
    'whois-registrant-email': as('email'),
    'dns-soa-email': as('email'),
    AS: as('asn'),
    regkey: as('regkey'),
    'regkey|value': (value: string) => [{ value: cut(value, value.indexOf('|'))[0], type: 'regkey' }],
    'x509-fingerprint-md5': as('x509'),
    'x509-fingerprint-sha1': as('x509'),
    'x509-fingerprint-sha256': as('x509'),
    vulnerability: as('cve'),
  }),
);

/** Reads the value of an attribute as rows; null for a type that is no indicator. */
export function readerOf(type: string): Read | null {
  return types.get(type) ?? null;
}

/** The text before and behind a position; null for the second where there is none. */
function cut(value: string, at: number): [string, string | null] {
  return at < 0 ? [value, null] : [value.slice(0, at), value.slice(at + 1)];
}

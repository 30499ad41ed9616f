import fc from 'fast-check';
import { type Observable, type ObservableType, observableTypes } from '../../src/model/observable.ts';
import { canonical } from '../../src/normalise/canonical.ts';

/** One canonical value of each type, chosen to need every escape that its type can need. */
export const samples: Record<ObservableType, string> = {
  ipv4: '198.51.100.0/24',
  ipv6: '2001:db8::1',
  domain: 'xn--bcher-kva.example.com',
  url: "http://example.com/a'b?q=%20c#d",
  md5: 'd41d8cd98f00b204e9800998ecf8427e',
  sha1: 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  sha512: 'ab'.repeat(64),
  email: "o'brien@example.com",
  asn: '64496',
  'registry-key': 'HKEY_LOCAL_MACHINE\\Software\\O\'Brien "x"',
  x509: 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  'file-name': 'it\'s "ünïcode" 🎣 $100%.exe',
  cve: 'CVE-2024-12345',
};

const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: digits, maxLength: digits });
const host = fc.domain();

/** Values as feeds might write them, most of them valid; canonical() decides. */
export const written: Record<ObservableType, fc.Arbitrary<string>> = {
  ipv4: fc.oneof(
    fc.ipV4(),
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
    fc.ipV4().map((ip) => ip.replaceAll('.', '[.]')),
  ),
  ipv6: fc.oneof(
    fc.ipV6(),
    fc.tuple(fc.ipV6(), fc.integer({ min: 1, max: 128 })).map(([ip, bits]) => `${ip}/${bits}`),
    fc.ipV4().map((ip) => `::FFFF:${ip}`),
  ),
  domain: fc.oneof(
    host,
    host.map((name) => `${name.toUpperCase()}.`),
    host.map((name) => `bücher.${name}`),
  ),
  url: fc.oneof(
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
    fc.webUrl({ withQueryParameters: true }).map((url) => url.replace('http', 'hxxp').replace('.', '[.]')),
    fc.tuple(host, fc.string({ unit: 'binary' })).map(([name, path]) => `HTTP://${name}:80/${path}`),
    fc.tuple(host, fc.string()).map(([name, path]) => `tcp://${name.toUpperCase()}:4444/${path}`),
  ),
  md5: hex(32),
  sha1: hex(40),
  sha256: hex(64),
  sha512: hex(128),
  email: fc.oneof(
    fc.emailAddress(),
    fc.emailAddress().map((address) => address.replace('@', '[at]')),
  ),
  asn: fc.integer({ min: 0, max: 5_000_000_000 }).map((number) => `AS${number}`),
  'registry-key': fc
    .tuple(fc.constantFrom('HKLM', 'hkcu', 'HKEY_USERS', '\\REGISTRY\\MACHINE'), fc.string({ unit: 'grapheme' }))
    .map(([hive, path]) => `${hive}\\${path}`),
  x509: fc.oneof(
    hex(40),
    hex(64).map((digits) => digits.replace(/..(?!$)/g, '$&:')),
  ),
  'file-name': fc.string({ unit: 'grapheme', minLength: 1 }),
  cve: fc.integer({ min: 1000, max: 10_000_000 }).map((number) => `cve-2024-${number}`),
};

/** Any canonical observable. */
export const anyObservable: fc.Arbitrary<Observable> = fc
  .constantFrom(...observableTypes)
  .chain((type) => written[type].map((text) => canonical(type, text)))
  .filter((read) => 'observable' in read)
  .map((read) => read.observable);

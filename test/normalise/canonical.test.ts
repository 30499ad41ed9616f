import fc from 'fast-check';
import t from 'tap';
import { type ObservableType, observableTypes } from '../../src/model/observable.ts';
import { canonical } from '../../src/normalise/canonical.ts';
import { typesOfWord } from '../../src/normalise/type-words.ts';
import { samples, written } from '../helpers/observables.ts';

/** The canonical value, with its type when it isn't the claimed one; else the reason. */
function read(claim: ObservableType | readonly ObservableType[] | null, text: string): string {
  const result = canonical(claim, text);
  if ('rejection' in result) return `! ${result.rejection.reason}`;
  const { observable, port } = result;
  const type = observable.type === claim ? '' : `${observable.type} `;
  return `${type}${observable.value}${port === undefined ? '' : ` port ${port}`}`;
}

const BAD = '! bad-value';
const MISMATCH = '! type-mismatch';

const cases: [ObservableType, [string, string][]][] = [
  [
    'ipv4',
    [
      ['198.51.100.3', '198.51.100.3'],
      [' 198.51.100.3\u00a0', '198.51.100.3'],
      ['198.51[.]100[.]3', '198.51.100.3'],
      ['198.51.100[.3', '198.51.100.3'],
      ['198(.)51{.}100[dot]3', '198.51.100.3'],
      ['198\\.51\\.100\\.3', '198.51.100.3'],
      ['198.51.100.3/32', '198.51.100.3'],
      ['198.51.100.77/24', '198.51.100.0/24'],
      ['255.255.255.255/1', '128.0.0.0/1'],
      ['198.51.100.3:443', '198.51.100.3 port 443'],
      ['198.51.100.3|443', '198.51.100.3 port 443'],
      ['198.51.100.3:0', BAD],
      ['198.51.100.3:70000', BAD],
      ['0.0.0.0/0', BAD],
      ['198.51.100.0/33', BAD],
      ['198.51.100.0/255.255.255.0', BAD],
      ['198.51.100.1-198.51.100.9', BAD],
      ['010.1.2.3', BAD],
      ['1.2.3.04', BAD],
      ['256.1.2.3', BAD],
      ['1.2.3', BAD],
      ['1.2.3.4.5', BAD],
      ['1.2.3.4.', BAD],
      ['0x7f.0.0.1', BAD],
      ['2130706433', BAD],
      ['2001:db8::1', MISMATCH],
      ['evil.example.com', MISMATCH],
      ['http://1.2.3.4/', MISMATCH],
    ],
  ],
  [
    'ipv6',
    [
      ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
      ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
      ['2001:db8::0:1:0:1', '2001:db8::1:0:1'],
      ['2001[:]db8[:]:1', '2001:db8::1'],
      ['[2001:db8::7]', '2001:db8::7'],
      ['[2001:db8::7]:443', '2001:db8::7 port 443'],
      ['2001:db8::7|443', '2001:db8::7 port 443'],
      ['2001:db8::1/128', '2001:db8::1'],
      ['2001:db8::ffff/32', '2001:db8::/32'],
      ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
      ['::/0', BAD],
      ['::1', '::1'],
      ['::', '::'],
      ['::ffff:198.51.100.3', 'ipv4 198.51.100.3'],
      ['::FFFF:C633:6403', 'ipv4 198.51.100.3'],
      ['::ffff:198.51.100.3/128', 'ipv4 198.51.100.3'],
      ['::ffff:198.51.100.3/120', 'ipv4 198.51.100.0/24'],
      ['::ffff:0:0/96', BAD],
      ['[::ffff:198.51.100.3]:80', 'ipv4 198.51.100.3 port 80'],
      ['64:ff9b::198.51.100.3', '64:ff9b::c633:6403'],
      ['::ffff:198.51.100.03', BAD],
      ['fe80::1%eth0', BAD],
      ['2001:db8:::1', BAD],
      ['2001:db8::1::2', BAD],
      ['2001:db8::/129', BAD],
      ['12345::1', BAD],
      ['1:2:3:4:5:6:7', BAD],
      ['1:2:3:4:5:6:7:8:9', BAD],
      ['198.51.100.3', MISMATCH],
    ],
  ],
  [
    'domain',
    [
      ['Evil.Example.COM', 'evil.example.com'],
      ['evil.example.com.', 'evil.example.com'],
      ['evil[.]example[.]com', 'evil.example.com'],
      ['evil[dot]example(dot)com', 'evil.example.com'],
      ['evil.example[.com', 'evil.example.com'],
      ['bücher.example.com', 'xn--bcher-kva.example.com'],
      ['BÜCHER.example.com', 'xn--bcher-kva.example.com'],
      ['XN--BCHER-KVA.example.com', 'xn--bcher-kva.example.com'],
      ['пример.рф', 'xn--e1afmkfd.xn--p1ai'],
      ['evil。example.com', 'evil.example.com'],
      ['_dmarc.evil.example.com', '_dmarc.evil.example.com'],
      ['a_b.example.com', 'a_b.example.com'],
      ['evil.example.com:8080', 'evil.example.com port 8080'],
      ['abcdefghij234567.onion', 'abcdefghij234567.onion'],
      ['cnc.bit', 'cnc.bit'],
      ['host.internal-zone', 'host.internal-zone'],
      ['raw.githubusercontent.com', 'raw.githubusercontent.com'],
      ['github.io', 'github.io'],
      ['com', BAD],
      ['co.uk', BAD],
      ['localhost', BAD],
      ['*.evil.example.com', BAD],
      ['.evil.example.com', BAD],
      ['evil..example.com', BAD],
      ['-evil.example.com', BAD],
      ['evil-.example.com', BAD],
      ['evil example.com', BAD],
      ["ev'il.example.com", BAD],
      ['evil.example.c', BAD],
      ['evil.example.123', BAD],
      [`${'a'.repeat(64)}.example.com`, BAD],
      [`${'a.'.repeat(126)}aa.com`, BAD],
      ['1.2.3.4', MISMATCH],
      ['http://evil.example.com/', MISMATCH],
      ['me@evil.example.com', MISMATCH],
      [samples.sha256, MISMATCH],
    ],
  ],
  [
    'url',
    [
      ['http://example.com', 'http://example.com/'],
      ['HTTP://EXAMPLE.com:80/Path?Q=A#F', 'http://example.com/Path?Q=A#F'],
      ['https://example.com:443/', 'https://example.com/'],
      ['https://example.com:80/', 'https://example.com:80/'],
      ['hxxp://example[.]com/a', 'http://example.com/a'],
      ['hXXps://example.com', 'https://example.com/'],
      ['h**p://example.com/', 'http://example.com/'],
      ['hxxp[:]//example[.]com[/]a[.]php', 'http://example.com/a.php'],
      ['hxxps[://]example(.)com/', 'https://example.com/'],
      ['http://example[.]com:8080/a', 'http://example.com:8080/a'],
      ['fxp://example.com/', 'ftp://example.com/'],
      ['http://example.com/a[.]b', 'http://example.com/a[.]b'],
      ['http://example.com./a', 'http://example.com/a'],
      ['http://bücher.example.com/ü', 'http://xn--bcher-kva.example.com/%C3%BC'],
      ['http://example.com/a b', 'http://example.com/a%20b'],
      ["http://example.com/it's?a='#'", 'http://example.com/it%27s?a=%27#%27'],
      ['http://example.com/it%27s', 'http://example.com/it%27s'],
      ["weird://example.com/it's", 'weird://example.com/it%27s'],
      [`http://example.com/${"'".repeat(2000)}`, '! too-long'],
      ['http://example.com/a/../b', 'http://example.com/b'],
      ['http://example.com/%2e%2E/%ab', 'http://example.com/%ab'],
      ['http://user:pw@example.com/', 'http://user:pw@example.com/'],
      ['http://1.2.3.4/x', 'http://1.2.3.4/x'],
      ['http://0x7f.1/', 'http://127.0.0.1/'],
      ['http://[2001:DB8::1]:80/', 'http://[2001:db8::1]/'],
      ['hxxp://1.2.3[.]4/bin', 'http://1.2.3.4/bin'],
      ['tcp://EVIL.example.com:4444', 'tcp://evil.example.com:4444'],
      ['tcp://[2001:DB8::1]:4444/X', 'tcp://[2001:db8::1]:4444/X'],
      ['ldap://evil.example.com/a b', 'ldap://evil.example.com/a%20b'],
      ['http://co.uk/', 'http://co.uk/'],
      ['example.com/path', BAD],
      ['http://', BAD],
      ['http:///x', BAD],
      ['http://localhost/', BAD],
      ['http://exa mple.com/', BAD],
      ['http://example.com:99999/', BAD],
      ['http://a%00b.com/', BAD],
      ['tcp://x/', BAD],
      ['file:///etc/passwd', BAD],
      ['javascript:alert(1)', BAD],
      [`http://example.com/${'a'.repeat(5000)}`, '! too-long'],
      [`http://example.com/${'ü'.repeat(1000)}`, '! too-long'],
      ['1.2.3.4', MISMATCH],
      ['evil.example.com', MISMATCH],
    ],
  ],
  [
    'email',
    [
      ['Me.Too@Evil.Example.COM', 'Me.Too@evil.example.com'],
      ['me[at]evil[.]example[.]com', 'me@evil.example.com'],
      ['me (at) evil(dot)example.com', BAD],
      ['me(at)evil.example.com', 'me@evil.example.com'],
      ["o'brien+x@evil.example.com", "o'brien+x@evil.example.com"],
      ['"a b"@evil.example.com', '"a b"@evil.example.com'],
      ['jörg@bücher.example.com', 'jörg@xn--bcher-kva.example.com'],
      ['{x}@evil.example.com', '{x}@evil.example.com'],
      ['@evil.example.com', BAD],
      ['me@', BAD],
      ['me@localhost', BAD],
      ['a..b@evil.example.com', BAD],
      ['a@b@evil.example.com', BAD],
      [`${'a'.repeat(65)}@evil.example.com`, BAD],
      ['evil.example.com', MISMATCH],
    ],
  ],
  [
    'md5',
    [
      [samples.md5.toUpperCase(), samples.md5],
      [samples.md5.slice(1), BAD],
      [`g${samples.md5.slice(1)}`, BAD],
      [samples.sha256, MISMATCH],
    ],
  ],
  ['sha1', [[samples.sha1.toUpperCase(), samples.sha1]]],
  [
    'sha256',
    [
      [samples.sha256.toUpperCase(), samples.sha256],
      [samples.sha1, MISMATCH],
    ],
  ],
  ['sha512', [[samples.sha512.toUpperCase(), samples.sha512]]],
  [
    'asn',
    [
      ['AS64496', '64496'],
      ['as 64496', '64496'],
      ['ASN64496', '64496'],
      ['64496', '64496'],
      ['0064496', '64496'],
      ['4294967295', '4294967295'],
      ['4294967296', BAD],
      ['0', BAD],
      ['1.10', BAD],
      ['AS-SET', BAD],
    ],
  ],
  [
    'registry-key',
    [
      ['HKLM\\Software\\Run', 'HKEY_LOCAL_MACHINE\\Software\\Run'],
      ['hkcu\\Software\\', 'HKEY_CURRENT_USER\\Software'],
      ['HKEY_LOCAL_MACHINE\\Software', 'HKEY_LOCAL_MACHINE\\Software'],
      ['hkey_users\\S-1-5-21', 'HKEY_USERS\\S-1-5-21'],
      ['HKLM:\\Software', 'HKEY_LOCAL_MACHINE\\Software'],
      ['HKLM\\\\Software\\\\Run', 'HKEY_LOCAL_MACHINE\\Software\\Run'],
      ['Computer\\HKEY_CLASSES_ROOT\\.exe', 'HKEY_CLASSES_ROOT\\.exe'],
      ['Registry::HKU\\.DEFAULT', 'HKEY_USERS\\.DEFAULT'],
      ['\\REGISTRY\\MACHINE\\SYSTEM', 'HKEY_LOCAL_MACHINE\\SYSTEM'],
      ['HKLM', BAD],
      ['HKLM\\', BAD],
      ['Software\\Run', BAD],
      [`HKLM\\${'a'.repeat(3000)}`, '! too-long'],
    ],
  ],
  [
    'x509',
    [
      ['DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09', samples.sha1],
      [samples.sha256.toUpperCase(), samples.sha256],
      [samples.md5, samples.md5],
      [samples.sha512, MISMATCH],
      ['da:39', BAD],
    ],
  ],
  [
    'file-name',
    [
      [' Evil (1).exe ', 'Evil (1).exe'],
      ['u\u0308.exe', 'ü.exe'],
      ['C:\\evil.exe', BAD],
      ['/tmp/evil', BAD],
      ['..', BAD],
      ['a'.repeat(256), '! too-long'],
    ],
  ],
  [
    'cve',
    [
      ['cve-2024-12345', 'CVE-2024-12345'],
      ['CVE-1999-0001', 'CVE-1999-0001'],
      ['CVE-2024-00001', BAD],
      ['CVE-2024-123', BAD],
      ['CVE-24-1234', BAD],
      ['MS17-010', BAD],
    ],
  ],
];

for (const [type, table] of cases) {
  t.test(`${type}: spellings become canonical, and refusals have a reason`, async (t) => {
    for (const [text, expected] of table) t.equal(read(type, text), expected, text.slice(0, 60));
  });
}

t.test('a type is detected by the form of a value only where that is unambiguous', async (t) => {
  const told: [string, string][] = [
    ['198.51.100.3', 'ipv4 198.51.100.3'],
    ['198.51[.]100.0/24', 'ipv4 198.51.100.0/24'],
    ['198.51.100.3:80', 'ipv4 198.51.100.3 port 80'],
    ['2001:db8::1', 'ipv6 2001:db8::1'],
    ['[2001:db8::1]:80', 'ipv6 2001:db8::1 port 80'],
    ['::ffff:1.2.3.4', 'ipv4 1.2.3.4'],
    ['evil[.]example[.]com', 'domain evil.example.com'],
    ['hxxp://evil.example.com', 'url http://evil.example.com/'],
    ['hxxps[:]//evil[.]example.com', 'url https://evil.example.com/'],
    ['me[at]evil.example.com', 'email me@evil.example.com'],
    ['http://me@evil.example.com/', 'url http://me@evil.example.com/'],
    [samples.md5, `md5 ${samples.md5}`],
    [samples.sha1, `sha1 ${samples.sha1}`],
    [samples.sha256, `sha256 ${samples.sha256}`],
    [samples.sha512, `sha512 ${samples.sha512}`],
    ['AS64496', 'asn 64496'],
    ['HKLM\\Software', 'registry-key HKEY_LOCAL_MACHINE\\Software'],
    ['cve-2024-12345', 'cve CVE-2024-12345'],
  ];
  for (const [text, expected] of told) t.equal(read(null, text), expected, text);
  for (const text of ['invoice.exe', 'hello', '64496', '1.2.3', 'server.local', 'a:b', '-', 'co.uk']) {
    t.equal(read(null, text), '! unknown-type', text);
  }
});

t.test('a claim of several types accepts a value of one of them', async (t) => {
  t.equal(read(['ipv4', 'ipv6'], '1.2.3.4'), 'ipv4 1.2.3.4');
  t.equal(read(['ipv4', 'ipv6'], '2001:db8::1'), 'ipv6 2001:db8::1');
  t.equal(read(['ipv4', 'ipv6'], 'evil.example.com'), MISMATCH);
  t.equal(read(['sha256', 'md5'], samples.md5), `md5 ${samples.md5}`);
  t.equal(read(['sha256', 'md5'], samples.sha1), MISMATCH);
  t.equal(read(['ipv4', 'ipv6'], '1.2.3'), BAD);
});

t.test('empty text, control characters, broken Unicode and long text are refused', async (t) => {
  t.equal(read(null, ''), '! no-value');
  t.equal(read('ipv4', ' \t\n'), '! no-value');
  t.equal(read('url', 'http://exa\tmple.com/'), BAD);
  t.equal(read('file-name', 'a\u0000.exe'), BAD);
  t.equal(read('file-name', 'a\ud800.exe'), BAD);
  t.equal(read('file-name', 'a'.repeat(10_000)), '! too-long');
  t.equal(read(null, '1'.repeat(10_000_000)), '! too-long');
});

t.test('the canonical form of a canonical value is itself', async () => {
  for (const type of observableTypes) {
    fc.assert(
      fc.property(written[type], (text) => {
        const once = canonical(type, text);
        if ('rejection' in once) return true;
        const { observable } = once;
        const twice = canonical(observable.type, observable.value);
        return 'observable' in twice && twice.observable.value === observable.value && twice.port === undefined;
      }),
      { numRuns: 500 },
    );
  }
});

t.test('most generated values are read, so the property above is not empty', async (t) => {
  for (const type of observableTypes) {
    const values = fc.sample(written[type], { numRuns: 300, seed: 7 });
    const taken = values.filter((text) => 'observable' in canonical(type, text)).length;
    t.ok(taken >= 100, `${type}: ${taken} of 300`);
  }
});

t.test('any text is read or refused under any claim, and the result is stable', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.string({ unit: fc.constantFrom(...'.:/[]@a1%\\-xhtp') }),
  );
  fc.assert(
    fc.property(fc.constantFrom(null, ...observableTypes), text, (claim, value) => {
      const once = canonical(claim, value);
      if ('rejection' in once) return once.rejection.detail !== '';
      const twice = canonical(once.observable.type, once.observable.value);
      return 'observable' in twice && twice.observable.value === once.observable.value;
    }),
    { numRuns: 5000 },
  );
});

t.test('the words of feeds for types, in any spelling', async (t) => {
  const known: [string, readonly string[]][] = [
    ['ipv4', ['ipv4']],
    ['IPv4', ['ipv4']],
    ['ipv4-addr', ['ipv4']],
    ['ip:port', ['ipv4', 'ipv6']],
    ['ip-dst|port', ['ipv4', 'ipv6']],
    ['CIDR', ['ipv4', 'ipv6']],
    ['hostname', ['domain']],
    ['domain-name', ['domain']],
    ['URL', ['url']],
    ['md5_hash', ['md5']],
    ['FileHash-SHA256', ['sha256']],
    ['sha256_hash', ['sha256']],
    ['email-src', ['email']],
    ['AS', ['asn']],
    ['regkey', ['registry-key']],
    ['x509-fingerprint-sha1', ['x509']],
    ['filename', ['file-name']],
    ['vulnerability', ['cve']],
    ['CVE', ['cve']],
  ];
  for (const [word, types] of known) t.same(typesOfWord(word), types, word);
  for (const type of observableTypes) t.same(typesOfWord(type), [type], 'our own words too');
  for (const word of [
    'mitre_attack',
    'mitre-attack',
    'yara',
    'mutex',
    'filename|md5',
    'constructor',
    '__proto__',
    '',
  ]) {
    t.equal(typesOfWord(word), null, word);
  }
});

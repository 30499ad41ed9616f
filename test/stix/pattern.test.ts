import fc from 'fast-check';
import t from 'tap';
import { elasticObservable, elasticProperties } from '../../src/model/elastic.ts';
import { type ObservableType, observableTypes } from '../../src/model/observable.ts';
import { parseSingleComparison } from '../../src/stix/pattern/single-comparison.ts';
import { formatPattern, subjectOf } from '../../src/stix/pattern.ts';
import { anyObservable, samples } from '../helpers/observables.ts';
import { runPython } from '../helpers/python.ts';

const sha1 = samples.sha1;
const sha256 = samples.sha256;

t.test(
  'each type has one exact form: one space each side, single quotes, hash names quoted where they need it',
  async (t) => {
    const forms: [ObservableType, string, string][] = [
      ['ipv4', '198.51.100.3', "[ipv4-addr:value = '198.51.100.3']"],
      ['ipv4', '198.51.100.0/24', "[ipv4-addr:value = '198.51.100.0/24']"],
      ['ipv6', '2001:db8::/32', "[ipv6-addr:value = '2001:db8::/32']"],
      ['domain', 'a.example', "[domain-name:value = 'a.example']"],
      ['url', 'http://a.example/x', "[url:value = 'http://a.example/x']"],
      ['md5', samples.md5, `[file:hashes.MD5 = '${samples.md5}']`],
      ['sha1', sha1, `[file:hashes.'SHA-1' = '${sha1}']`],
      ['sha256', sha256, `[file:hashes.'SHA-256' = '${sha256}']`],
      ['sha512', samples.sha512, `[file:hashes.'SHA-512' = '${samples.sha512}']`],
      ['email', 'a@b.example', "[email-addr:value = 'a@b.example']"],
      ['asn', '64496', '[autonomous-system:number = 64496]'],
      ['registry-key', 'HKEY_LOCAL_MACHINE\\Run', "[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\Run']"],
      ['x509', samples.md5, `[x509-certificate:hashes.MD5 = '${samples.md5}']`],
      ['x509', sha1, `[x509-certificate:hashes.'SHA-1' = '${sha1}']`],
      ['x509', sha256, `[x509-certificate:hashes.'SHA-256' = '${sha256}']`],
      ['file-name', "it's.exe", "[file:name = 'it\\'s.exe']"],
    ];
    for (const [type, value, pattern] of forms) t.equal(formatPattern({ type, value }), pattern);
    t.throws(() => formatPattern({ type: 'cve', value: 'CVE-2024-1234' }), { code: 'internal' });
    t.equal(subjectOf({ type: 'cve', value: 'CVE-2024-1234' }), 'CVE-2024-1234');
    t.equal(subjectOf({ type: 'asn', value: '1' }), '[autonomous-system:number = 1]');
  },
);

t.test('what is written is read back the same, for every canonical observable', async () => {
  fc.assert(
    fc.property(
      anyObservable.filter(({ type }) => type !== 'cve'),
      (observable) => {
        const read = parseSingleComparison(formatPattern(observable));
        return read?.type === observable.type && read.value === observable.value;
      },
    ),
    { numRuns: 2000 },
  );
});

t.test('OASIS parses every pattern that is written', async (t) => {
  const patterns = fc
    .sample(anyObservable, { numRuns: 150, seed: 42 })
    .concat(observableTypes.map((type) => ({ type, value: samples[type] })))
    .filter(({ type }) => type !== 'cve')
    .map((observable) => formatPattern(observable));
  const script = `
import json, sys
from stix2patterns.v21.pattern import Pattern
faults = []
for text in json.load(sys.stdin):
    try:
        Pattern(text)
    except Exception as error:
        faults.append("%s: %s" % (text, error))
print(json.dumps(faults))
`;
  const result = await runPython(t, script, [], JSON.stringify(patterns));
  if (result === null) return;
  t.equal(result.code, 0, result.stderr);
  t.same(JSON.parse(result.stdout), []);
});

t.test('Elastic gets only values that its pipeline can read whole', async (t) => {
  const asIs: [ObservableType, string][] = [
    ['ipv4', '198.51.100.3'],
    ['ipv6', '2001:db8::1'],
    ['domain', 'a.example'],
    ['url', 'http://a.example/x'],
    ['md5', samples.md5],
    ['sha1', sha1],
    ['sha256', sha256],
    ['x509', sha1],
    ['email', 'a@b.example'],
    ['asn', '64496'],
    ['asn', '2147483647'],
    ['file-name', 'evil AND.exe'],
  ];
  for (const [type, value] of asIs) t.same(elasticObservable({ type, value }), { type, value });
  const leftOut: [ObservableType, string][] = [
    ['asn', '2147483648'],
    ['ipv4', '198.51.100.0/24'],
    ['ipv6', '2001:db8::/32'],
    ['sha512', samples.sha512],
    ['cve', 'CVE-2024-1234'],
    ['email', "o'brien@b.example"],
    ['email', '"a b"@b.example'],
    ['file-name', "it's.exe"],
    ['file-name', 'this OR that.exe'],
    ['file-name', 'this  AND\tthat.exe'],
    ['registry-key', "HKEY_LOCAL_MACHINE\\O'Brien"],
    ['registry-key', 'HKEY_LOCAL_MACHINE\\a AND b'],
    ['registry-key', 'HKEY_LOCAL_MACHINE\\"quoted"'],
  ];
  for (const [type, value] of leftOut) t.equal(elasticObservable({ type, value }), null, value);
  t.same(elasticObservable({ type: 'url', value: "http://a.example/it's OR not" }), {
    type: 'url',
    value: 'http://a.example/it%27s%20OR%20not',
  });
  t.same(
    elasticObservable({ type: 'registry-key', value: 'HKEY_CURRENT_USER\\Software' }),
    { type: 'registry-key', value: 'HKCU\\Software' },
    'ECS has short hives',
  );
});

t.test('a pattern issued to Elastic never holds what cuts or splits it', async () => {
  fc.assert(
    fc.property(anyObservable, (observable) => {
      const fitting = elasticObservable(observable);
      if (fitting === null) return true;
      const pattern = formatPattern(fitting);
      return !pattern.includes("\\'") && !/\s+(?:AND|OR)\s+/.test(pattern);
    }),
  );
});

t.test('of upstream properties Elastic gets those it maps, markings first', async (t) => {
  const kept = { x_score: 3, lang: 'en', object_marking_refs: ['marking-definition--1'], extensions: { a: {} } };
  t.equal(JSON.stringify(elasticProperties(kept)), '{"object_marking_refs":["marking-definition--1"],"lang":"en"}');
  t.equal(elasticProperties({ x_score: 3 }), null);
});

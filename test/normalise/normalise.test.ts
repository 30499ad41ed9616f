import fc from 'fast-check';
import t from 'tap';
import type { FeedItem, FeedRow } from '../../src/feeds/feed.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { defaultReach, type FeedDefinition } from '../../src/model/definition.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { jsonText } from '../../src/model/json.ts';
import { observableKey } from '../../src/model/observable.ts';
import { MAX_REJECTED_ROW, type Observation } from '../../src/model/observation.ts';
import { formatMicros, parseTimestamp } from '../../src/model/timestamp.ts';
import { tlpOfTag, tlpOfWord } from '../../src/model/tlp.ts';
import { readConfidence } from '../../src/normalise/confidence.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { markingId } from '../../src/stix/marking.ts';
import { renderEntry } from '../../src/stix/render.ts';
import { indicatorEntry } from '../helpers/entry.ts';
import { judgeStix } from '../helpers/judge-stix.ts';
import { runPython } from '../helpers/python.ts';

const feed: FeedDefinition = {
  name: 'acme',
  format: 'stix',
  mode: 'delta',
  title: 'Acme Intelligence',
  aliases: [],
  every: 60_000,
  confidence: 40,
  tlp: 'amber',
  lifetime: {},
  outageLimit: 0,
  shrinkGuard: null,
  emptyAllowed: true,
  reach: defaultReach,
};
const now = parseTimestamp('2026-11-24T00:00:00Z') as number;

/** The observation a row becomes, and the note on it. Throws when it becomes something else. */
function take(row: FeedRow | { stix: JsonObject }): { observation: Observation; note: string | undefined } {
  const result = normalise(row, feed, now);
  if (result.kind !== 'observations' || result.observations.length !== 1) throw new Error(JSON.stringify(result));
  const [observation] = result.observations as [Observation];
  return { observation, note: result.notes?.map(({ detail }) => detail).join('; ') };
}

function reason(item: unknown): string {
  const result = normalise(item as FeedItem, feed, now);
  return result.kind === 'rejection' ? result.rejection.reason : result.kind;
}

const time = (text: string): number => parseTimestamp(text) as number;

t.test('a full row in SOC Defenders’ words', async (t) => {
  const row = {
    id: '0b0c7a3e-1111-4222-8333-444455556666',
    type: 'ipv4',
    value: '198.51[.]100.3',
    confidence: 'high',
    firstSeen: '2026-11-01T10:00:00Z',
    lastSeen: '2026-11-20T10:00:00.123456+01:00',
    source: {
      article_id: 'a1',
      article_title: 'A report',
      article_url: 'https://news.example/report?x=1',
      feed_name: 'URLhaus',
      category: 'community',
      origin: 'feed',
      more: 'is not modelled',
    },
    description: 'seen in\r\na report',
    labels: ['c2', 'botnet', 'c2', ' ', null],
    techniques: ['T1071', 't1059.001', 'T1071'],
  };
  const { observation, note } = take(row);
  t.equal(note, undefined);
  t.same(observation, {
    key: observableKey({ type: 'ipv4', value: '198.51.100.3' }),
    observable: { type: 'ipv4', value: '198.51.100.3' },
    confidence: 85,
    tlp: null,
    firstSeen: time('2026-11-01T10:00:00Z'),
    lastSeen: time('2026-11-20T09:00:00.123456Z'),
    validFrom: null,
    validUntil: null,
    revoked: false,
    sourceId: row.id,
    version: null,
    others: [],
    reportedAt: now,
    source: {
      feed_name: 'URLhaus',
      category: 'community',
      origin: 'feed',
      article_id: 'a1',
      article_title: 'A report',
      article_url: 'https://news.example/report?x=1',
    },
    name: null,
    description: 'seen in\na report',
    labels: ['botnet', 'c2'],
    references: [],
    techniques: ['T1059.001', 'T1071'],
    kept: null,
  });
});

t.test('a URL is kept as its source wrote it, where that is not its canonical form', async (t) => {
  const original = (item: FeedRow | { stix: JsonObject }) => take(item).observation.source.url_original;
  const [written, canonical] = ["HTTP://Evil.example.com/o'clock", 'http://evil.example.com/o%27clock'];
  t.equal(original({ type: 'url', value: written }), written);
  t.equal(original({ type: 'url', value: canonical }), undefined);
  t.equal(original({ type: 'domain', value: 'Evil.Example.COM' }), undefined, 'of URLs alone');
  const pattern = `[url:value = '${written.replace("'", "\\'")}']`;
  const stix = {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${UUID}`,
    pattern,
    pattern_type: 'stix',
  };
  t.equal(original({ stix }), written);
  t.equal(take({ stix }).observation.observable.value, canonical);
});

t.test('only type and value are required; defaults come from the feed', async (t) => {
  t.match(take({ type: 'ipv4', value: '1.2.3.4' }), {
    observation: {
      confidence: null,
      tlp: null,
      source: { feed_name: 'Acme Intelligence' },
      labels: [],
      references: [],
    },
    note: undefined,
  });
  t.match(take({ value: 'evil.example.com' }).observation.observable, { type: 'domain' });
  t.match(take({ type: 'asn', value: 64496 }).observation.observable, { type: 'asn', value: '64496' });
  t.same(take({ type: 'ip:port', value: '1.2.3.4:443', labels: ['x', 'a'] }).observation.labels, [
    'a',
    'port:443',
    'x',
  ]);
  const empty = {
    type: '',
    value: '1.2.3.4',
    confidence: '',
    firstSeen: null,
    labels: '',
    source: '',
    tlp: '',
    revoked: '',
  };
  t.same(take(empty), take({ value: '1.2.3.4' }), 'absent, null and empty mean the same');
});

t.test('a row without a readable value is refused, with its reason and enough of itself to be found', async (t) => {
  const refused: [unknown, string][] = [
    [null, 'not-an-object'],
    ['1.2.3.4', 'not-an-object'],
    [[1], 'not-an-object'],
    [{ stix: null }, 'not-an-object'],
    [{ stix: [] }, 'not-an-object'],
    [{}, 'no-value'],
    [{ value: '' }, 'no-value'],
    [{ value: '  ' }, 'no-value'],
    [{ value: { a: 1 } }, 'bad-value'],
    [{ value: 1.5 }, 'bad-value'],
    [{ type: 'mitre_attack', value: 'T1059' }, 'unknown-type'],
    [{ type: 'mitre-attack', value: 'T1059' }, 'unknown-type'],
    [{ type: 7, value: '1.2.3.4' }, 'unknown-type'],
    [{ value: 'hello' }, 'unknown-type'],
    [{ type: 'ipv4', value: 'evil.example.com' }, 'type-mismatch'],
    [{ type: 'ipv4', value: '2001:db8::1' }, 'type-mismatch'],
    [{ type: 'sha256', value: 'abc' }, 'bad-value'],
    [{ type: 'url', value: `http://a.example/${'x'.repeat(9000)}` }, 'too-long'],
  ];
  for (const [row, expected] of refused) t.equal(reason(row), expected, JSON.stringify(row).slice(0, 60));
  const result = normalise({ type: 'url', value: 'x'.repeat(9000) }, feed, now);
  t.ok(result.kind === 'rejection' && result.rejection.row.length === MAX_REJECTED_ROW);
  t.match(normalise({ type: 'ipv4', value: 'bad', id: 'row-7' }, feed, now), {
    rejection: { row: /row-7/, detail: /IPv4/ },
  });
});

t.test('a property that can’t be read costs itself, not the row, and is noted', async (t) => {
  const { observation, note } = take({
    value: '1.2.3.4',
    confidence: 'very',
    firstSeen: 'yesterday',
    lastSeen: '2027-01-01',
    expires: {},
    revoked: 'perhaps',
    name: ['x'],
    labels: [{ a: 1 }, 'good', 'x'.repeat(201)],
    techniques: ['T12', 'T1059'],
    references: ['javascript:alert(1)', 'https://good.example/'],
    source: { feed_name: 7, article_url: 'ftp://x' },
  });
  t.match(observation, {
    confidence: null,
    firstSeen: null,
    lastSeen: null,
    validUntil: null,
    revoked: false,
    name: null,
  });
  t.same(observation.labels, ['good']);
  t.same(observation.techniques, ['T1059']);
  t.same(observation.references, [{ source_name: '7', url: 'https://good.example/' }]);
  for (const said of [
    'confidence: very',
    'firstSeen: yesterday',
    'lastSeen: 2027-01-01 has not',
    'expires',
    'revoked',
  ]) {
    t.match(note, said);
  }
  t.match(take({ value: '1.2.3.4', labels: [{ a: 1 }] }).note, 'labels: {"a":1}');
  t.match(take({ value: '1.2.3.4', techniques: [{ a: 1 }] }).note, 'techniques: {"a":1}');
  t.match(take({ value: '1.2.3.4', source: { article_url: 'ftp://x' } }).note, 'source.article_url: ftp://x');
  t.match(normalise({ value: '1.2.3.4', tlp: 'x' }, feed, now), {
    kind: 'observations',
    notes: [{ reason: 'bad-property' }],
  });
  t.match(take({ value: '1.2.3.4', source: 7 }), {
    observation: { source: { feed_name: feed.title } },
    note: /source/,
  });
});

t.test('everything is bounded, and a cut is noted', async (t) => {
  const long = take({
    value: '1.2.3.4',
    name: 'n'.repeat(600),
    description: '🎣'.repeat(3000),
    id: 'i'.repeat(600),
    labels: Array.from({ length: 2000 }, (_, i) => `label ${i}`),
    techniques: Array.from({ length: 100 }, (_, i) => `T${1000 + i}`),
    references: Array.from({ length: 50 }, (_, i) => `https://a.example/${i}`),
  });
  const { observation } = long;
  t.equal(observation.name?.length, 512);
  t.ok((observation.description?.length ?? 0) <= 4000 && observation.description?.isWellFormed());
  t.equal(observation.sourceId?.length, 512);
  t.equal(observation.labels.length, 64);
  t.equal(observation.techniques.length, 64);
  t.equal(observation.references.length, 32);
  t.ok((long.note?.length ?? 0) <= 501);
  for (const said of ['name: cut', 'description: cut', '2000 items', '50, of which 32']) t.match(long.note, said);
});

t.test('times in all forms of the field', async (t) => {
  const forms: [unknown, string | null][] = [
    ['2026-11-01T10:00:00Z', '2026-11-01T10:00:00.000000Z'],
    ['2026-11-01T10:00:00.1234567+02:00', '2026-11-01T08:00:00.123456Z'],
    ['2026-11-01 10:00:00 UTC', '2026-11-01T10:00:00.000000Z'],
    ['2026-11-01 10:00:00', '2026-11-01T10:00:00.000000Z'],
    ['2026-11-01T10:00:00.5', '2026-11-01T10:00:00.500000Z'],
    ['2026-11-01', '2026-11-01T00:00:00.000000Z'],
    [1_762_000_000, '2025-11-01T12:26:40.000000Z'],
    [1_762_000_000.25, '2025-11-01T12:26:40.250000Z'],
    ['1762000000', '2025-11-01T12:26:40.000000Z'],
    [0, '1970-01-01T00:00:00.000000Z'],
    ['2026-11-24T23:59:59Z', '2026-11-24T23:59:59.000000Z'],
    ['2026-11-26', null],
    ['2026-02-30', null],
    ['0000-00-00 00:00:00', null],
    ['01/11/2026', null],
    [1_762_000_000_000, null],
    [-1, null],
    [Number.NaN, null],
    [true, null],
  ];
  for (const [value, expected] of forms) {
    const { observation, note } = take({ value: '1.2.3.4', lastSeen: value });
    t.equal(observation.lastSeen === null ? null : formatMicros(observation.lastSeen), expected, String(value));
    t.equal(note === undefined, expected !== null, 'what is not read is noted');
  }
  const forEver = take({ value: '1.2.3.4', expires: '9999-12-31T23:59:59Z' });
  t.match(forEver, { observation: { validUntil: null }, note: undefined }, 'the year 9999 means for ever');
  t.equal(take({ value: '1.2.3.4', expires: '2030-01-01' }).observation.validUntil, time('2030-01-01T00:00:00Z'));
});

t.test('of two times that contradict each other the later is kept', async (t) => {
  const seen = take({ value: '1.2.3.4', firstSeen: '2026-11-02', lastSeen: '2026-11-01' });
  t.match(seen, { observation: { firstSeen: null, lastSeen: time('2026-11-01T00:00:00Z') }, note: /firstSeen/ });
  const valid = take({ value: '1.2.3.4', validFrom: '2026-11-01', expires: '2026-11-01' });
  t.match(valid, { observation: { validFrom: null, validUntil: time('2026-11-01T00:00:00Z') }, note: /validFrom/ });
});

t.test('a feed can’t give labels as analysts do: they are left out, and noted', async (t) => {
  for (const label of ['analyst:confirmed', 'Analyst:Confirmed', ' analyst:x', 'analyst:']) {
    const { observation, note } = take({ value: '1.2.3.4', labels: ['c2', label] });
    t.same(observation.labels, ['c2'], label);
    t.match(note, `labels: ${label.trim()} is not taken over`);
  }
  const object = take(indicator({ labels: ['c2', 'analyst:confirmed'] }));
  t.match(object, { observation: { labels: ['c2'] }, note: /analyst:confirmed is not taken over/ }, 'nor by STIX');
  for (const label of ['analyst', 'analysts:confirmed', 'by analyst:confirmed']) {
    t.match(take({ value: '1.2.3.4', labels: [label] }), { observation: { labels: [label] }, note: undefined });
  }
});

t.test('TLP: the row’s own word, in its marking or its labels, the stricter of the two; else the feed’s', async (t) => {
  const tlp = (row: Partial<FeedRow>) => take({ value: '1.2.3.4', ...row }).observation.tlp;
  t.equal(tlp({}), null);
  t.equal(tlp({ tlp: 'green' }), 'green', 'its own word wins, milder or not');
  t.equal(tlp({ labels: ['TLP:RED', 'x'] }), 'red');
  t.equal(tlp({ labels: ['tlp:clear'], tlp: 'green' }), 'green');
  t.equal(tlp({ labels: ['tlp:amber+strict'], tlp: 'green' }), 'amber+strict');
  t.same(take({ value: '1.2.3.4', labels: ['tlp:green', 'x'] }).observation.labels, ['x'], 'a marking is no label');
  t.match(
    take({ value: '1.2.3.4', tlp: 'purple' }),
    { observation: { tlp: 'red' }, note: /tlp: purple/ },
    'unread is red',
  );
  t.equal(tlp({ tlp: 7 }), 'red');
  const words: [string, string | null][] = [
    ['white', 'clear'],
    ['TLP:WHITE', 'clear'],
    ['tlp:2.0:amber', 'amber'],
    ['TLP: Amber+Strict', 'amber+strict'],
    ['tlp:amber-strict', 'amber+strict'],
    ['tlp="green"', 'green'],
    ['tlp:ex:chr', null],
    ['tlp:', null],
    ['greenish', null],
    ['constructor', null],
  ];
  for (const [word, level] of words) t.equal(tlpOfWord(word), level, word);
  const tags: [string, string | null][] = [
    ['TLP RED', 'red'],
    ['tlp_amber_strict', 'amber+strict'],
    ['tlp:ex:chr', 'red'],
    ['TLP:', 'red'],
    ['tlp:purple', 'red'],
    ['tlp', null],
    ['TLP guidance', null],
    ['tlphunter', null],
    ['red', null],
    ['misp:tlp:red', null],
  ];
  for (const [tag, level] of tags) t.equal(tlpOfTag(tag), level, tag);
  t.match(
    take({ value: '1.2.3.4', labels: ['tlp:unclear', 'x'] }),
    { observation: { tlp: 'red', labels: ['x'] }, note: /tlp:unclear is no TLP level/ },
    'a tag that claims to be TLP and names no level',
  );
});

t.test('confidence: numbers, and words on STIX’s scale', async (t) => {
  const values: [unknown, number | null | undefined][] = [
    [0, 0],
    [100, 100],
    [85.4, 85],
    ['70', 70],
    ['70%', 70],
    ['70.5', 71],
    ['HIGH', 85],
    [' medium ', 50],
    ['low', 15],
    ['none', 0],
    ['Not Specified', null],
    ['6 - Truth cannot be judged', null],
    ['misp:confidence-level="usually-confident"', 75],
    ['admiralty-scale:information-credibility="2"', 70],
    [null, null],
    [undefined, null],
    ['', null],
    [101, undefined],
    [-1, undefined],
    [0.85, undefined],
    ['0.85', undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    ['1e2', undefined],
    ['toString', undefined],
    [true, undefined],
    [{}, undefined],
  ];
  for (const [value, expected] of values) t.equal(readConfidence(value), expected, String(value));
});

t.test('the scales of STIX 2.1 appendix A read as stix2 reads them', async (t) => {
  const script = `
import json, re, inspect
import stix2.confidence.scales as scales
found = {}
for name in ("none_low_med_high_to_value", "admiralty_credibility_to_value", "wep_to_value", "dni_to_value"):
    read = getattr(scales, name)
    for word in re.findall(r"scale_value == '([^']+)'", inspect.getsource(read)):
        try:
            found[word] = read(word)
        except ValueError:
            found[word] = None
print(json.dumps(found))
`;
  const result = await runPython(t, script);
  if (result === null) return;
  const scales = Object.entries(JSON.parse(result.stdout) as Record<string, number | null>);
  t.ok(scales.length >= 24);
  for (const [word, value] of scales) t.equal(readConfidence(word), value, word);
});

const UUID = '28bb3599-77cd-4a82-a950-b5bc3caf07c4';
const indicator = (changes: JsonObject = {}): { stix: JsonObject } => ({
  stix: {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${UUID}`,
    created_by_ref: `identity--${UUID}`,
    created: '2026-11-01T10:00:00.000Z',
    modified: '2026-11-02T10:00:00.000Z',
    name: 'C2',
    description: 'text',
    indicator_types: ['malicious-activity'],
    pattern: "[file:hashes.SHA256 = 'E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855']",
    pattern_type: 'stix',
    pattern_version: '2.1',
    valid_from: '2026-11-01T09:00:00.000Z',
    valid_until: '2026-12-01T00:00:00.000Z',
    confidence: 60,
    labels: ['b', 'a'],
    ...changes,
  },
});

t.test('an indicator of one comparison becomes an observation; its id a reference, the rest is kept', async (t) => {
  const statement = `marking-definition--${UUID}`;
  const { observation, note } = take(
    indicator({
      object_marking_refs: [statement, markingId('green', 1)],
      external_references: [
        { source_name: 'report', url: 'https://a.example/' },
        { source_name: 'mitre-attack', external_id: 'T1059.001', url: 'https://attack.mitre.org/techniques/T1059/001' },
      ],
      kill_chain_phases: [{ kill_chain_name: 'lockheed', phase_name: 'c2' }],
      lang: 'en',
      x_score: 3,
    }),
  );
  t.equal(note, undefined);
  const value = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  t.same(observation, {
    key: observableKey({ type: 'sha256', value }),
    observable: { type: 'sha256', value },
    confidence: 60,
    tlp: 'green',
    firstSeen: time('2026-11-01T10:00:00Z'),
    lastSeen: null,
    validFrom: time('2026-11-01T09:00:00Z'),
    validUntil: time('2026-12-01T00:00:00Z'),
    revoked: false,
    sourceId: `indicator--${UUID}`,
    version: time('2026-11-02T10:00:00Z'),
    others: [],
    reportedAt: now,
    source: { feed_name: 'Acme Intelligence' },
    name: 'C2',
    description: 'text',
    labels: ['a', 'b'],
    references: [
      { source_name: 'Acme Intelligence', external_id: `indicator--${UUID}` },
      { source_name: 'report', url: 'https://a.example/' },
    ],
    techniques: ['T1059.001'],
    kept: {
      object_marking_refs: [statement],
      indicator_types: ['malicious-activity'],
      kill_chain_phases: [{ kill_chain_name: 'lockheed', phase_name: 'c2' }],
      lang: 'en',
      x_score: 3,
    },
  });
  t.equal(Object.keys(observation.kept ?? {})[0], 'object_marking_refs', 'where the renderer looks for it');
});

t.test('invalid upstream ids are accepted where ids are made anew', async (t) => {
  const { observation, note } = take(
    indicator({ id: 'indicator--1', created_by_ref: 'identity--socdefenders', spec_version: null, pattern_type: null }),
  );
  t.equal(observation.sourceId, 'indicator--1');
  t.match(observation.references, [{ external_id: 'indicator--1' }]);
  t.equal(note, undefined);
  const marked = take(indicator({ object_marking_refs: ['marking-definition--tlp-red'] }));
  t.match(marked.note, /object_marking_refs/);
  t.equal(marked.observation.tlp, null);
});

t.test('the TLP of an indicator is the strictest of its marking, its parts and its labels', async (t) => {
  const tlp = (changes: JsonObject) => take(indicator(changes)).observation.tlp;
  t.equal(tlp({}), null, 'else the feed’s, when merging');
  t.equal(tlp({ object_marking_refs: [markingId('clear')] }), 'clear');
  t.equal(tlp({ object_marking_refs: [markingId('clear')], labels: ['tlp:red'] }), 'red');
  const granular_markings = [{ selectors: ['name'], marking_ref: markingId('amber+strict') }];
  t.equal(tlp({ object_marking_refs: [markingId('clear')], granular_markings }), 'amber+strict');
  t.equal(take(indicator({ granular_markings })).observation.kept?.['granular_markings'], undefined);
});

t.test('properties that would make our own object invalid are not kept, and noted', async (t) => {
  const { observation, note } = take(
    indicator({
      indicator_types: 'malicious',
      kill_chain_phases: [{ phase_name: 'x' }],
      lang: 'not a language',
      extensions: { 'x-old-ext': { a: 1 } },
      severity: 'high',
      x_null: null,
      x_inside: { a: null },
      x_list: [],
      'Bad-Name': 1,
      parent_ref: 'nobody',
      created_by_ref: 'nobody',
    }),
  );
  t.equal(observation.kept, null);
  for (const name of [
    'indicator_types',
    'kill_chain_phases',
    'lang',
    'extensions',
    'x_inside',
    'Bad-Name',
    'parent_ref',
  ]) {
    t.match(note, `${name}: `);
  }
  const large = take(indicator({ x_large: 'x'.repeat(20_000) }));
  t.match(large, { observation: { kept: null }, note: /kept properties: 20/ });
});

t.test('a vulnerability with one CVE becomes an observation', async (t) => {
  const vulnerability = (changes: JsonObject) => ({
    stix: {
      type: 'vulnerability',
      spec_version: '2.1',
      id: `vulnerability--${UUID}`,
      created: '2026-11-01T10:00:00.000Z',
      modified: '2026-11-01T10:00:00.000Z',
      name: 'Log4Shell',
      ...changes,
    },
  });
  const cve = (id: string) => ({ source_name: 'cve', external_id: id });
  t.match(take(vulnerability({ name: 'cve-2021-44228' })), {
    observation: { observable: { type: 'cve', value: 'CVE-2021-44228' } },
  });
  t.match(take(vulnerability({ external_references: [cve('CVE-2021-44228')] })), {
    observation: { observable: { type: 'cve', value: 'CVE-2021-44228' }, name: 'Log4Shell' },
  });
  t.equal(reason(vulnerability({})), 'object', 'without a CVE it passes verbatim');
  t.equal(reason(vulnerability({ name: 'CVE-2024-00001' })), 'object', 'a name that only looks like one is a name');
  t.equal(reason(vulnerability({ external_references: [cve('CVE-2021-1111'), cve('CVE-2021-2222')] })), 'object');
});

t.test('other STIX passes verbatim, or is refused with its reason', async (t) => {
  const complex = "[ipv4-addr:value = '1.2.3.4'] FOLLOWEDBY [url:value = 'http://a.example/']";
  const passed = indicator({ pattern: complex });
  t.same(normalise(passed, feed, now), {
    kind: 'object',
    object: { id: `indicator--${UUID}`, type: 'indicator', version: '2026-11-02T10:00:00.000Z', raw: passed.stix },
    notes: [
      {
        reason: 'unsupported-pattern',
        detail: 'FOLLOWEDBY of observations; served only as it came, where a collection has objects: all',
        row: JSON.stringify(passed.stix),
      },
    ],
  });
  t.equal(reason(indicator({ pattern: "[mutex:name = 'x']" })), 'object');
  t.match(normalise(indicator({ pattern: 'rule x {}', pattern_type: 'yara' }), feed, now), {
    kind: 'object',
    notes: [{ reason: 'unsupported-pattern', detail: /^pattern_type yara; served only as it came/ }],
  });
  t.equal(reason(indicator({ pattern: 'rule x {}' })), 'unsupported-pattern');
  t.equal(reason(indicator({ pattern: 7 })), 'bad-stix');
  t.equal(reason(indicator({ pattern: "[ipv4-addr:value = 'evil.example.com']" })), 'type-mismatch');
  t.equal(reason(indicator({ pattern: "[ipv4-addr:value = '1.2.3']" })), 'bad-value');
  t.equal(reason({ stix: { type: 'malware' } }), 'bad-stix');
  const noted = normalise(indicator({ pattern: complex, created_by_ref: 'acme' }), feed, now);
  t.match(noted, {
    kind: 'object',
    notes: [{}, { reason: 'bad-property', detail: /created_by_ref: "acme" is none .*; left out/ }],
  });
  t.ok(noted.kind === 'object' && !('created_by_ref' in noted.object.raw));
});

t.test('a pattern of several values becomes an observation for each, all with the object’s id', async (t) => {
  const takeAll = (pattern: string, more: JsonObject = {}) => {
    const result = normalise(indicator({ pattern, ...more }), feed, now);
    if (result.kind !== 'observations') throw new Error(JSON.stringify(result));
    return result;
  };
  const several = takeAll("[ipv4-addr:value = '1.2.3.4' OR url:value = 'http://A.example/it\\'s']", {
    name: 'http://a.example/it%27s',
    labels: ['x'],
    x_own: 1,
  });
  t.match(several, {
    observations: [
      {
        observable: { type: 'ipv4', value: '1.2.3.4' },
        name: 'http://a.example/it%27s',
        sourceId: `indicator--${UUID}`,
      },
      { observable: { type: 'url', value: 'http://a.example/it%27s' }, name: null, sourceId: `indicator--${UUID}` },
    ],
  });
  for (const { labels, kept } of several.observations)
    t.same({ labels, kept }, { labels: ['x'], kept: { indicator_types: ['malicious-activity'], x_own: 1 } });

  const once = takeAll("[domain-name:value IN ('A.example', 'a.example.')]");
  t.equal(once.observations.length, 1, 'two spellings are one value');
  const traffic = "network-traffic:dst_ref.value = '1.2.3.4' AND network-traffic:dst_port = 443";
  t.same(takeAll(`[${traffic}]`, { labels: ['z'] }).observations[0]?.labels, ['port:443', 'z']);
  t.same(takeAll("[ipv4-addr:value = '1.2.3.4:80']").observations[0]?.labels, ['a', 'b', 'port:80'], 'as for rows');
  const ports = takeAll(`[${traffic}] OR [${traffic.replace('443', '80')}]`, { labels: [] }).observations;
  t.same(
    ports.map(({ labels }) => labels),
    [['port:443', 'port:80']],
    'of one value at two ports both are said',
  );
  const many = Array.from({ length: 64 }, (_, n) => `l${n}`);
  const full = takeAll(`[${traffic}]`, { labels: many }).observations[0]?.labels;
  t.ok(full?.length === 64 && full.includes('port:443'));

  const partly = takeAll("[ipv4-addr:value IN ('1.2.3.4', '1.2.3', '1.2.3.999', 'evil.example.com')]", {
    confidence: 'x y',
  });
  t.equal(partly.observations.length, 1);
  t.match(partly.notes, [
    { reason: 'bad-value', detail: /not four decimals/ },
    { reason: 'type-mismatch', detail: /looks like domain/ },
    { reason: 'bad-property', detail: /^confidence: / },
  ]);
  t.equal(reason(indicator({ pattern: "[ipv4-addr:value IN ('1.2.3', 'a.example')]" })), 'bad-value');
  t.equal(reason(indicator({ pattern: `${'('.repeat(10_000)}[ipv4-addr:value = '1.2.3.4']` })), 'unsupported-pattern');
  t.equal(reason(indicator({ pattern: "[mutex:name = 'a\\b']" })), 'unsupported-pattern', 'no STIX: not passed on');
});

t.test('reserved addresses and networks that are too wide are refused, in URLs and names too', async (t) => {
  const refused: [string, string][] = [
    ...[
      '0.0.0.0',
      '0.1.2.3',
      '0.0.0.0/8',
      '127.0.0.1',
      '127.255.255.255',
      '127.0.0.0/8',
      '169.254.0.0',
      '169.254.255.255',
    ].map((value) => [value, 'reserved'] as [string, string]),
    ...[
      '224.0.0.1',
      '239.255.255.255',
      '240.0.0.1',
      '255.255.255.255',
      '240.0.0.0/8',
      '169.254.1.0/24',
      '169.0.0.0/8',
    ].map((value) => [value, 'reserved'] as [string, string]),
    ...[
      '::',
      '::1',
      '::7f00:1',
      'fe80::1',
      'febf::1',
      'fe80::/16',
      'ff02::1',
      'ff00::/16',
      '::/16',
      '::ffff:127.0.0.1',
    ].map((value) => [value, 'reserved'] as [string, string]),
    ...[
      'http://127.0.0.1/a',
      'http://0x7f.1/',
      'http://u:p@127.0.0.1:80?x',
      'http://[::1]:8080/',
      'http://[::ffff:127.0.0.1]/',
    ].map((value) => [value, 'reserved'] as [string, string]),
    ...['http://169.254.169.254/latest', 'weird://224.0.0.1', 'https://a.localhost:1/', 'me@a.localhost'].map(
      (value) => [value, 'reserved'] as [string, string],
    ),
    ...['0.0.0.0/1', '128.0.0.0/1', '64.0.0.0/7', '::/1', '2000::/3', '2000::/15', 'fe80::/10', 'ff00::/8'].map(
      (value) => [value, 'too-wide'] as [string, string],
    ),
    ['0177.0.0.1', 'unknown-type'],
  ];
  for (const [value, expected] of refused) t.equal(reason({ value }), expected, value);
  t.equal(reason({ value: 'a.localhost', type: 'domain' }), 'reserved');
  for (const value of ['0.0.0.0/0', '::/0']) t.equal(reason({ value, type: 'cidr' }), 'bad-value', value);
  t.equal(reason(indicator({ pattern: "[ipv4-addr:value = '127.0.0.1']" })), 'reserved');
  t.equal(reason(indicator({ pattern: "[ipv4-addr:value ISSUBSET '0.0.0.0/1']" })), 'too-wide');
  t.match(normalise(indicator({ pattern: "[ipv4-addr:value IN ('127.0.0.1', '1.2.3.4', '8.0.0.0/7')]" }), feed, now), {
    kind: 'observations',
    observations: [{ observable: { value: '1.2.3.4' } }],
    notes: [
      { reason: 'reserved', detail: '127.0.0.1: loopback, no address of another network' },
      { reason: 'too-wide', detail: '8.0.0.0/7: a prefix shorter than /8' },
    ],
  });

  const taken = [
    ...['1.0.0.0', '126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '223.255.255.255', '1.0.0.0/8'],
    ...['10.0.0.1', '172.16.0.0/12', '192.168.1.1', '100.64.0.1', '192.0.2.1', '198.51.100.0/24', '198.18.0.1'],
    ...['fc00::1', 'fd00::/16', '2001:db8::1', '2000::/16', 'fec0::1', 'fdff::1', '64:ff9b::1.2.3.4', '::1:0:0:1'],
    ...[
      'http://10.0.0.1/127.0.0.1',
      'http://example.com/@127.0.0.1',
      'http://example.com?http://[::1]/',
      'http://[fd00::1]/',
    ],
    ...['127.0.0.1.example.com', 'localhost.example.com', 'http://localhost.example.com/'],
  ];
  for (const value of taken) t.equal(reason({ value }), 'observations', value);
});

t.test('a feed may accept reserved addresses and wider networks', async (t) => {
  const taken = (value: string, reach: FeedDefinition['reach']) =>
    normalise({ value }, { ...feed, reach }, now).kind === 'observations';
  const open = { minPrefix: { ipv4: 1, ipv6: 1 }, reserved: true };
  for (const value of [
    '0.0.0.0/1',
    '::/1',
    '127.0.0.1',
    '::1',
    'http://127.0.0.1/',
    'me@a.localhost',
    '255.255.255.255',
  ])
    t.ok(taken(value, open), value);
  const narrow = { minPrefix: { ipv4: 24, ipv6: 48 }, reserved: false };
  for (const value of ['1.2.2.0/23', '2001:db8::/47']) t.notOk(taken(value, narrow), value);
  for (const value of ['1.2.3.0/24', '1.2.3.4', '2001:db8::/48', '2001:db8::1']) t.ok(taken(value, narrow), value);
  t.notOk(taken('0.0.0.0/1', { ...open, reserved: false }), 'half of everything holds what is reserved');
  t.notOk(taken('c000::/2', { ...open, reserved: false }), 'link-local addresses are in the midst of it');
  t.ok(taken('4000::/2', { ...open, reserved: false }));
});

t.test('an object with an invalid id gets an id that is always the same within its feed', async (t) => {
  const times = { created: '2026-11-01T10:00:00.000Z', modified: '2026-11-02T10:00:00.000Z', spec_version: '2.1' };
  const rawOf = (object: JsonObject, name = feed.name): JsonObject => {
    const result = normalise({ stix: { ...times, ...object } }, { ...feed, name }, now);
    return result.kind === 'object' ? result.object.raw : { refused: true };
  };
  const acme = rawOf({ type: 'identity', id: 'identity--acme', name: 'Acme' });
  const malware = rawOf({
    type: 'malware',
    id: 'malware--x',
    created_by_ref: 'identity--acme',
    name: 'X',
    is_family: true,
  });
  const link = rawOf({
    type: 'relationship',
    id: 7,
    relationship_type: 'uses',
    source_ref: 'malware--x',
    target_ref: `tool--${UUID}`,
    object_marking_refs: ['marking-definition--ours', `marking-definition--${UUID}`],
  });
  t.match(acme['id'], /^identity--[0-9a-f]{8}-[0-9a-f]{4}-5/);
  t.equal(malware['created_by_ref'], acme['id'], 'what refers to it finds it');
  t.equal(link['source_ref'], malware['id']);
  t.equal(link['target_ref'], `tool--${UUID}`, 'what is sound stays');
  t.match(link['object_marking_refs'], [/^marking-definition--.{36}$/, `marking-definition--${UUID}`]);
  t.not(rawOf({ type: 'identity', id: 'identity--acme', name: 'Acme' }, 'other')['id'], acme['id'], 'per feed');
  const nameless = rawOf({ type: 'tool', name: 'T' });
  t.equal(rawOf({ type: 'tool', name: 'T', modified: '2026-11-03T10:00:00.000Z' })['id'], nameless['id']);
  t.not(rawOf({ type: 'tool', name: 'U' })['id'], nameless['id']);
  t.match(normalise({ stix: { ...times, type: 'tool', id: 'tool--1', name: 'T' } }, feed, now), {
    notes: [{ reason: 'bad-property', detail: /id: "?tool--1"? is no tool-- with a UUID; served as tool--/ }],
  });
  t.match(normalise({ stix: { ...times, type: 'tool', id: `tool--${UUID}`, name: 'T', sample_ref: 'x' } }, feed, now), {
    kind: 'object',
    notes: [{ detail: 'sample_ref: x is no STIX id; left out' }],
  });
  const marked = take(
    indicator({ granular_markings: [{ marking_ref: 'marking-definition--ours', selectors: ['name'] }] }),
  );
  t.same(marked.observation.kept?.['object_marking_refs'], [(link['object_marking_refs'] as string[])[0]]);
});

t.test('endless nesting is refused or noted, wherever it stands', async (t) => {
  let deep: JsonObject = {};
  for (let i = 0; i < 20_000; i += 1) deep = { a: deep };
  t.equal(reason({ value: deep }), 'bad-value');
  t.equal(
    reason({ value: '1.2.3.4', labels: deep, source: deep, name: deep, references: deep, tlp: deep }),
    'observations',
  );
  t.equal(reason({ stix: deep }), 'bad-stix');
  t.match(take(indicator({ x_deep: deep, extensions: deep, labels: deep, kill_chain_phases: [deep] })).note, 'x_deep');
});

t.test('no item makes it throw, and its results are within bounds', async () => {
  const anything = fc.anything({ maxDepth: 2 });
  const row = fc.record(
    {
      value: fc.oneof(fc.ipV4(), fc.webUrl(), anything),
      type: fc.oneof(fc.constantFrom('ipv4', 'url', 'hash'), anything),
      confidence: anything,
      firstSeen: anything,
      lastSeen: anything,
      validFrom: anything,
      expires: anything,
      revoked: anything,
      id: anything,
      name: anything,
      description: anything,
      labels: anything,
      techniques: anything,
      references: anything,
      tlp: anything,
      port: anything,
      protocol: anything,
      malwareFamily: anything,
      source: anything,
    },
    { requiredKeys: [] },
  );
  const stix = fc
    .record(
      {
        id: anything,
        labels: anything,
        confidence: anything,
        object_marking_refs: anything,
        granular_markings: anything,
        external_references: anything,
        created: anything,
        extensions: anything,
        kill_chain_phases: anything,
        x_any: anything,
      },
      { requiredKeys: [] },
    )
    .map((changes) =>
      indicator(JSON.parse(JSON.stringify(changes, (_, value) => (typeof value === 'bigint' ? 1 : value)))),
    );
  fc.assert(
    fc.property(fc.oneof(row, stix, anything), (item) => {
      const result = normalise(item as FeedItem, feed, now);
      if (result.kind === 'rejection') return result.rejection.row.length <= MAX_REJECTED_ROW;
      if (result.kind === 'object') return true;
      return result.observations.every(
        (observation) =>
          (observation.confidence === null || (observation.confidence >= 0 && observation.confidence <= 100)) &&
          (observation.lastSeen ?? 0) <= now + MICROS_PER_DAY &&
          observation.labels.length <= 64 &&
          JSON.stringify(observation.kept).length <= 16_000,
      );
    }),
    { numRuns: 3000 },
  );
});

t.test('messy upstream objects are issued as valid STIX', async (t) => {
  const messy = [
    indicator({
      labels: [],
      external_references: [
        { source_name: 'cve', external_id: 'x' },
        { source_name: 'y', url: 'http://a b/' },
      ],
    }),
    indicator({
      x_score: 3,
      x_acme: { a: ['b'] },
      external_references: [{ source_name: 'n', url: 'https://a.example/{x}|y[z]' }],
    }),
    indicator({
      kill_chain_phases: [],
      lang: '',
      object_marking_refs: [markingId('red', 1), `marking-definition--${UUID}`],
    }),
    indicator({ name: 'a\u0000b\ud800', description: '\u0007x', id: 'CVE-2021-44228' }),
    { value: 'http://example.com/é"<>\'', references: ['https://a.example/%zz#a#b'], id: 'CAPEC-66' },
    { type: 'cve', value: 'cve-2021-44228', id: 'CVE-2021-44228', name: 'Log4Shell' },
  ];
  const texts = messy.map((item) => {
    const { observation } = take(item);
    const { observable, tlp, name, description, labels, references, kept } = observation;
    const columns = {
      tlp: tlp ?? feed.tlp,
      name,
      description,
      labels: jsonText(labels),
      references: jsonText(references),
      kept: kept && jsonText(kept),
    };
    return renderEntry(indicatorEntry(observable, columns), { identityId: `identity--${UUID}` });
  });
  for (const finding of (await judgeStix(t, texts)) ?? []) t.same(finding.errors, [], finding.id);
});

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { ecsContext, ecsDestination, ecsTargets } from '../../src/ecs/data-stream.ts';
import { ecsDocument, writeEcs } from '../../src/ecs/document.ts';
import { confidenceWord } from '../../src/ecs/fields/threat.ts';
import { ECS_VERSION, ecsFields } from '../../src/ecs/fields.ts';
import { ecsMappings } from '../../src/ecs/mapping.ts';
import { parseEntry } from '../../src/ecs/parsed-entry.ts';
import { documentTime } from '../../src/ecs/renewal.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { isJsonObject, type Json, type JsonObject, jsonText } from '../../src/model/json.ts';
import { observableTypes } from '../../src/model/observable.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { tlpLevels } from '../../src/model/tlp.ts';
import { plainDocument, readGoldens } from '../helpers/ecs.ts';
import { CREATED, indicatorEntry } from '../helpers/entry.ts';
import { anyObservable, samples } from '../helpers/observables.ts';

/** One field of the ECS list; the file says which version it was made from. */
interface EcsDefinition {
  type: string;
  normalize?: string[];
  allowed?: string[];
  expected?: string[];
  ignore_above?: number;
  multi_fields?: Record<string, string>;
}
const ecs = JSON.parse(readFileSync(new URL('../fixtures/ecs/ecs-9.4.0-fields.json', import.meta.url), 'utf8')) as {
  source: string;
  fields: Record<string, EcsDefinition>;
};
const goldens = readGoldens();
const collection = { alias: 'all', title: 'All indicators' };
const latest = ecsContext({ target: 'latest', collection });
const contexts = ecsTargets.map((target) => ecsContext({ target, collection }));

/** What ECS has no field for: by the integration's names, and ours. */
const isForeign = (field: string): boolean => /^(?:stix|sluice)\./.test(field);
const flattened = new Set(ecsFields.filter(({ type }) => type === 'flattened').map(({ field }) => field));

/** Mapped otherwise than ECS says, for the reason that its row gives. */
const mappedOtherwise: Record<string, string> = { 'threat.indicator.as.number': 'keyword' };

/** Every field of a document with its value, by its dotted name. */
function leaves(value: Json, at = ''): [string, Json][] {
  if (!isJsonObject(value) || flattened.has(at)) return [[at, value]];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, at === '' ? name : `${at}.${name}`));
}

const document = (type: keyof typeof samples, value: string, changes: Partial<IndicatorEntry> = {}): JsonObject =>
  ecsDocument(indicatorEntry({ type, value }, changes), latest);
const at = (object: JsonObject, field: string): Json | undefined => new Map(leaves(object)).get(field);

t.test('golden pairs: each entry becomes exactly its document', async (t) => {
  for (const { name, about, entry, context, document } of goldens) {
    t.strictSame(ecsDocument(entry, context), document, `${name}: ${about}`);
  }
});

t.test('every type has a golden pair, and every row is shown by one for each type that has it', async (t) => {
  const seen = new Set(goldens.flatMap(({ entry, document }) => leaves(document).map(([f]) => `${entry.type} ${f}`)));
  t.same([...new Set(goldens.map(({ entry }) => entry.type))].sort(), [...observableTypes].sort());
  for (const { field, only } of ecsFields) {
    if (only === undefined || field.startsWith('stix.')) {
      const shown = [...seen].some((each) => each.endsWith(` ${field}`));
      t.ok(shown, field);
    } else {
      for (const type of only) {
        t.ok(seen.has(`${type} ${field}`), `${field} of ${type}`);
      }
    }
  }
});

t.test('names and types are those of ECS 9.4', async (t) => {
  t.match(ecs.source, `Elastic Common Schema v${ECS_VERSION}`);
  for (const row of ecsFields.filter(({ field }) => !isForeign(field))) {
    if (row.field.startsWith('labels.')) {
      t.equal(ecs.fields['labels']?.type, 'object', 'labels are keywords by name');
      t.equal(row.type, 'keyword');
      continue;
    }
    const definition = ecs.fields[row.field];
    t.equal(row.type, mappedOtherwise[row.field] ?? definition?.type, row.field);
    t.same(row.text && { text: row.text }, definition?.multi_fields, `${row.field}: multi-fields`);
  }
  t.equal(new Set(ecsFields.map(({ field }) => field)).size, ecsFields.length, 'one row per field');
});

t.test('values are lists where ECS says so, and among those that it allows or expects', async (t) => {
  const every = observableTypes.flatMap((type) =>
    tlpLevels.flatMap((tlp) =>
      [null, 0, 1, 30, 70, 100].map((confidence) => ecsDocument(entryOf(type, { tlp, confidence }), latest)),
    ),
  );
  const faults = new Set<string>();
  // The guide has words of its own.
  const golden = goldens.flatMap(({ context, document }) => (context.target === 'compat' ? [] : [document]));
  for (const [field, value] of [...every, ...golden].flatMap((each) => leaves(each))) {
    if (isForeign(field) || field.startsWith('labels.')) continue;
    const { normalize, allowed, expected } = ecs.fields[field] as EcsDefinition;
    if (Array.isArray(value) !== (normalize?.includes('array') ?? false)) faults.add(`${field}: list or not`);
    const words = allowed ?? expected;
    for (const each of [value].flat()) {
      if (words !== undefined && !words.includes(each as string)) faults.add(`${field}: ${each}`);
    }
  }
  t.same([...faults], []);
});

function entryOf(type: keyof typeof samples, changes: Partial<IndicatorEntry> = {}): IndicatorEntry {
  return indicatorEntry({ type, value: samples[type] }, changes);
}

t.test("the guide's mapping table holds: the same parsed stand in the same fields", async (t) => {
  // "ECS field mapping" of SOC Defenders' Elastic guide, field by field.
  const of = (type: keyof typeof samples, value: string) => document(type, value);
  t.equal(at(of('ipv4', '198.51.100.3'), 'threat.indicator.ip'), '198.51.100.3', 'value (IP)');
  t.equal(at(of('domain', 'evil.example'), 'threat.indicator.url.domain'), 'evil.example', 'value (domain)');
  t.equal(at(of('sha256', samples.sha256), 'threat.indicator.file.hash.sha256'), samples.sha256, 'value (hash)');
  t.equal(at(of('ipv4', '198.51.100.3'), 'threat.indicator.confidence'), 'High', 'confidence, in the words of ECS');
  t.equal(at(of('ipv4', '198.51.100.3'), 'threat.indicator.provider'), 'URLhaus', 'source.feed_name');
  t.equal(at(of('ipv4', '198.51.100.3'), 'threat.indicator.type'), 'ipv4-addr', 'type');
  const claims = ['URLhaus', 'urlhaus', 'ThreatFox'].map((feed_name, i) => ({ feed: `f${i}`, feed_name }));
  const claimed = document('ipv4', '198.51.100.3', { sources: jsonText(claims) });
  t.strictSame(at(claimed, 'sluice.sources'), ['URLhaus', 'ThreatFox'], 'each publisher once, however it is spelt');
  t.match(of('ipv4', '198.51.100.3'), {
    event: { kind: 'enrichment', category: ['threat'], type: ['indicator'] },
    threat: { indicator: { type: 'ipv4-addr', ip: '198.51.100.3', provider: 'URLhaus' } },
  });
  const compat = ecsContext({ target: 'compat', collection });
  t.equal(ecsDestination({ target: 'compat' }).name, 'logs-ti.socdefenders-default');
  t.equal(at(ecsDocument(entryOf('ipv4'), compat), 'event.dataset'), 'ti.socdefenders', 'its EQL asks for this');
});

t.test("where documents lie: names that Elastic's default threat index finds", async (t) => {
  const names = Object.fromEntries(ecsTargets.map((target) => [target, ecsDestination({ target }).index]));
  t.same(names, {
    latest: 'logs-ti_sluice_latest.indicator-1',
    stream: 'logs-ti_sluice.indicator-default',
    compat: 'logs-ti.socdefenders-default',
  });
  const soc = ecsContext({ target: 'stream', collection, stream: 'ips', namespace: 'soc' });
  t.equal(ecsDestination({ target: 'stream', stream: 'ips', namespace: 'soc' }).name, 'logs-ti_sluice.ips-soc');
  const own = ecsDestination({ target: 'latest', stream: 'lab' });
  t.same(own, { name: 'logs-ti_sluice_latest.lab', index: 'logs-ti_sluice_latest.lab-1' });
  t.match(ecsDocument(entryOf('ipv4'), soc), {
    event: { dataset: 'ti_sluice.ips' },
    data_stream: { type: 'logs', dataset: 'ti_sluice.ips', namespace: 'soc' },
    labels: { is_ioc_transform_source: 'true' },
  });
  const plain = ecsDocument(entryOf('ipv4'), latest);
  t.notOk('data_stream' in plain, 'a plain index is no data stream');
  t.notOk('labels' in plain, 'rules leave out what a transform reads');
});

t.test('a network is found as a range, and named by its first address', async (t) => {
  const network = document('ipv4', '198.51.100.0/24');
  t.equal(at(network, 'threat.indicator.ip'), '198.51.100.0');
  t.equal(at(document('ipv6', '2001:db8::/32'), 'threat.indicator.ip'), '2001:db8::');
  t.equal(at(network, 'related.ip'), undefined, 'nobody pivots from one address to what was said of a network');
  t.equal(at(network, 'sluice.network'), '198.51.100.0/24');
  t.equal(at(network, 'threat.indicator.name'), '198.51.100.0/24');
  t.equal(at(document('ipv4', '198.51.100.3'), 'sluice.network'), undefined);
});

t.test('url.original is what the strongest source wrote, url.full what rules match', async (t) => {
  const sources = jsonText([
    { feed: 'one', feed_name: 'One', url_original: "HTTP://evil.example/o'clock" },
    { feed: 'two', feed_name: 'Two', url_original: 'http://EVIL.example/o%27clock' },
  ]);
  const written = document('url', 'http://evil.example/o%27clock', { sources });
  t.equal(at(written, 'threat.indicator.url.original'), "HTTP://evil.example/o'clock");
  t.equal(at(written, 'threat.indicator.url.full'), 'http://evil.example/o%27clock');
  t.equal(at(document('url', 'http://evil.example/'), 'threat.indicator.url.original'), 'http://evil.example/');
});

t.test('confidence in the words of ECS, at every bound', async (t) => {
  const words = [null, 0, 1, 29, 30, 69, 70, 100].map(confidenceWord);
  t.same(words, ['Not Specified', 'None', 'Low', 'Low', 'Medium', 'Medium', 'High', 'High']);
});

t.test("compat: confidence in the guide's words, which stand beside those that its poller wrote", async (t) => {
  const compat = ecsContext({ target: 'compat', collection });
  const word = (confidence: number | null) =>
    at(ecsDocument(entryOf('ipv4', { confidence }), compat), 'threat.indicator.confidence');
  t.same([0, 1, 29, 30, 69, 70, 100].map(word), ['none', 'low', 'low', 'medium', 'medium', 'high', 'high']);
  t.equal(word(null), undefined, 'as its poller leaves out what the answer does not have');
});

t.test("Kibana's Indicators page: the script that names rows can emit what it reads", async (t) => {
  // x-pack threat_intelligence, indicator_name.ts: by type the first of these fields that has a value; emit() takes text only.
  const read: Record<string, string[]> = {
    'ipv4-addr': ['threat.indicator.ip'],
    'ipv6-addr': ['threat.indicator.ip'],
    file: ['sha256', 'md5', 'sha1', 'sha512'].map((algorithm) => `threat.indicator.file.hash.${algorithm}`),
    url: ['threat.indicator.url.full'],
    'domain-name': ['threat.indicator.url.domain'],
    'email-addr': ['threat.indicator.email.address'],
    'windows-registry-key': ['threat.indicator.registry.key'],
    'autonomous-system': ['threat.indicator.as.number'],
  };
  const text = ['keyword', 'wildcard', 'ip', 'constant_keyword'];
  const mapping = ecsMappings();
  const named = (each: JsonObject): boolean => {
    const fields = read[String(at(each, 'threat.indicator.type'))] ?? [];
    const first = fields.find((field) => at(each, field) !== undefined);
    return first !== undefined && text.includes(String(propertyAt(mapping, first)?.['type']));
  };
  const nameless = ['x509', 'file-name', 'cve'];
  for (const type of observableTypes)
    t.equal(named(ecsDocument(entryOf(type), latest)), !nameless.includes(type), type);
  t.ok(named(document('ipv4', '198.51.100.0/24')), 'a network');
  t.ok(named(document('ipv6', '2001:db8::/32')), 'an IPv6 network');
  t.equal(at(document('asn', '4200000000'), 'threat.indicator.as.number'), 4_200_000_000, 'a number in the document');
});

t.test("a document's time: its version's, moved on by whole periods while it lives", async (t) => {
  const live = { version: CREATED, revoked: false };
  const after = (days: number) => (documentTime(live, CREATED + days * MICROS_PER_DAY) - CREATED) / MICROS_PER_DAY;
  t.same([-1, 0, 14.99, 15, 16, 29.99, 30, 100].map(after), [0, 0, 0, 15, 15, 15, 30, 90]);
  const gone = { version: CREATED, revoked: true };
  t.equal(documentTime(gone, CREATED + 100 * MICROS_PER_DAY), CREATED, 'a withdrawal has its own time');
  const written = ecsDocument(entryOf('domain', { validUntil: null }), latest, CREATED + 15 * MICROS_PER_DAY);
  t.match(written, {
    '@timestamp': '2026-12-05T10:11:12.345Z',
    // 90 days after the renewal: what lives must not be deleted for its age.
    stix: { modified: '2026-11-20T10:11:12.345Z', ioc_expiration_date: '2027-03-05T10:11:12.345Z' },
    threat: { indicator: { modified_at: '2026-11-20T10:11:12.345Z' } },
  });
});

t.test('when it ends: at valid_until, else after the configured time, and at once when withdrawn', async (t) => {
  const ends = (changes: Partial<IndicatorEntry>) => {
    const written = document('domain', 'evil.example', changes);
    return [at(written, 'stix.ioc_expiration_date'), at(written, 'stix.ioc_expiration_reason')];
  };
  t.same(ends({ validUntil: CREATED + 1_000_000 }), [
    '2026-11-20T10:11:13.345Z',
    'Expiration set from valid_until field',
  ]);
  t.same(ends({ validUntil: null }), [
    '2027-02-18T10:11:12.345Z',
    "Expiration set by Elastic from the integration's parameter `IOC Expiration Duration`",
  ]);
  const revoked = { revoked: true, reason: 'vanished', version: CREATED + 5_000_000 } as const;
  const end = ['2026-11-20T10:11:17.345Z', 'Expiration set from revoked field'];
  t.same(ends({ ...revoked, validUntil: CREATED + 9e12 }), end, 'an old promise keeps nothing alive');
  t.same(ends({ ...revoked, validUntil: null }), end);
  t.equal(ends({ ...revoked, validUntil: CREATED })[0], '2026-11-20T10:11:12.345Z', 'never later than it says itself');
});

t.test('a withdrawal beats the version before it in a transform, which sorts by whole milliseconds', async (t) => {
  const live = entryOf('domain');
  const gone = { ...live, dateAdded: live.dateAdded + 1, version: live.version + 1000, revoked: true };
  const time = (entry: IndicatorEntry) => parseTimestamp(String(ecsDocument(entry, latest)['@timestamp'])) as number;
  t.ok(time(gone) > time(live));
  t.equal(at(ecsDocument(gone, latest), 'stix.id'), at(ecsDocument(live, latest), 'stix.id'), 'the same key');
});

t.test(
  'for any entry: one line of JSON without gaps, the same each time, and only fields that are mapped',
  async () => {
    const entries = fc.record({
      observable: anyObservable,
      confidence: fc.option(fc.integer({ min: 0, max: 100 })),
      description: fc.option(fc.string({ unit: 'binary' }).map((text) => text.toWellFormed())),
      labels: fc.option(fc.array(fc.string({ minLength: 1 })).map(jsonText)),
      tlp: fc.constantFrom(...tlpLevels),
      revoked: fc.boolean(),
      validUntil: fc.option(fc.integer({ min: 0, max: 2 ** 52 })),
      context: fc.constantFrom(...contexts),
    });
    const rows = new Set(ecsFields.map(({ field }) => field));
    fc.assert(
      fc.property(entries, ({ observable, context, ...changes }) => {
        const entry = indicatorEntry(observable, changes);
        const text = writeEcs(entry, context);
        if (text.includes('\n') || text !== writeEcs({ ...entry }, context)) return false;
        return leaves(JSON.parse(text)).every(
          ([field, value]) =>
            rows.has(field) && value !== null && JSON.stringify(value) !== '[]' && JSON.stringify(value) !== '{}',
        );
      }),
      { numRuns: 500 },
    );
  },
);

t.test('the text is that of the plain version, member for member', async (t) => {
  for (const { name, entry, context } of goldens)
    t.equal(writeEcs(entry, context), JSON.stringify(plainDocument(entry, context)), name);
});

t.test('the text says what the rows say, nested by their names', async (t) => {
  for (const { name, entry, context } of goldens) {
    const parsed = parseEntry(entry, context);
    const expected: [string, Json][] = [];
    for (const row of ecsFields) {
      if (row.only !== undefined && !row.only.includes(entry.type)) continue;
      const value = 'of' in row ? row.of(parsed) : row.fixed(context);
      if (value !== undefined) expected.push([row.field, value]);
    }
    t.same(new Map(leaves(ecsDocument(entry, context))), new Map(expected), name);
  }
});

t.test('times are written as Date writes them, whatever days were written before', async () => {
  const days = fc.array(fc.integer({ min: 0, max: 2 ** 52 }), { minLength: 1 });
  // Days that share a slot, one after the other.
  const same = fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 500 }));
  fc.assert(
    fc.property(days, same, (times, [a, b]) =>
      [...times, a * 64 * MICROS_PER_DAY, b * 64 * MICROS_PER_DAY + 1].every(
        (each) => formatMillis(each) === new Date(Math.floor(each / 1000)).toISOString(),
      ),
    ),
  );
});

t.test('the mapping: types and lengths of ECS, closed to what nobody mapped', async (t) => {
  const mapping = ecsMappings();
  t.equal(mapping['dynamic'], false);
  for (const { field } of ecsFields) {
    const property = propertyAt(mapping, field);
    if (isForeign(field) || field.startsWith('labels.')) continue;
    const { type, ignore_above } = ecs.fields[field] as EcsDefinition;
    t.equal(property?.['type'], mappedOtherwise[field] ?? type, field);
    if (type === 'keyword') t.equal(property?.['ignore_above'], ignore_above ?? 1024, `${field}: length`);
  }
  t.equal(propertyAt(mapping, 'sluice.network')?.['type'], 'ip_range');
  t.equal(propertyAt(mapping, 'stix.ioc_expiration_date')?.['type'], 'date');
});

t.test('the plain mapping uses only types that a bare node has', async (t) => {
  const text = JSON.stringify(ecsMappings({ plain: true }));
  t.notMatch(text, /wildcard|constant_keyword|match_only_text|scaled_float/);
  t.same(propertyAt(ecsMappings({ plain: true }), 'threat.indicator.url.full'), {
    type: 'keyword',
    ignore_above: 8191,
    fields: { text: { type: 'text' } },
  });
});

function propertyAt(mapping: JsonObject, field: string): JsonObject | undefined {
  let here: JsonObject | undefined = mapping;
  for (const name of field.split('.')) {
    here = (here?.['properties'] as JsonObject | undefined)?.[name] as JsonObject | undefined;
  }
  return here;
}

import fc from 'fast-check';
import t from 'tap';
import type { IndicatorEntry, ObjectEntry } from '../../src/model/entry.ts';
import { type JsonObject, jsonText } from '../../src/model/json.ts';
import { observableTypes } from '../../src/model/observable.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { tlpLevels } from '../../src/model/tlp.ts';
import { identityId } from '../../src/stix/id.ts';
import { ListWriter } from '../../src/stix/list-writer.ts';
import { markingId } from '../../src/stix/marking.ts';
import { formatPattern } from '../../src/stix/pattern.ts';
import { ownProperties } from '../../src/stix/properties.ts';
import { renderEntry } from '../../src/stix/render.ts';
import { checkStixObject } from '../../src/stix/validate.ts';
import { CREATED, indicatorEntry, NAMESPACE } from '../helpers/entry.ts';
import { judgeStix } from '../helpers/judge-stix.ts';
import { anyObservable, samples } from '../helpers/observables.ts';
import { runPython } from '../helpers/python.ts';
import { plainObject } from '../helpers/stix.ts';

const context = { identityId: identityId(NAMESPACE) };
const render = (entry: IndicatorEntry, tlpVersion: 1 | 2 = 2): JsonObject =>
  JSON.parse(renderEntry(entry, { ...context, tlpVersion }));

const address = { type: 'ipv4', value: '198.51.100.3' } as const;
const cve = { type: 'cve', value: 'CVE-2024-12345' } as const;
const references = jsonText([{ source_name: 'URLhaus', url: 'https://urlhaus.abuse.ch/url/1/', external_id: '1' }]);

t.test('an indicator says each property in its order', async (t) => {
  const entry = indicatorEntry(address, {
    labels: jsonText(['botnet', 'c2']),
    references,
    name: 'C2 "x"',
    description: 'a\nb',
  });
  const object = render(entry);
  const expected = {
    type: 'indicator',
    spec_version: '2.1',
    id: entry.objectId,
    created_by_ref: context.identityId,
    created: '2026-11-20T10:11:12.345Z',
    modified: '2026-11-20T10:11:12.345Z',
    name: 'C2 "x"',
    description: 'a\nb',
    indicator_types: ['malicious-activity'],
    pattern: "[ipv4-addr:value = '198.51.100.3']",
    pattern_type: 'stix',
    pattern_version: '2.1',
    valid_from: '2026-11-20T10:11:12.345Z',
    valid_until: '2026-12-20T10:11:12.345Z',
    confidence: 85,
    labels: ['tlp:green', 'botnet', 'c2'],
    external_references: [{ source_name: 'URLhaus', url: 'https://urlhaus.abuse.ch/url/1/', external_id: '1' }],
    object_marking_refs: [markingId('green')],
  };
  t.same(object, expected);
  t.same(Object.keys(object), Object.keys(expected));
});

t.test('what is absent is left out: no nulls, no empty lists, no revoked: false', async (t) => {
  const entry = indicatorEntry(address, {
    confidence: null,
    validUntil: null,
    labels: jsonText([]),
    references: jsonText([]),
    kept: jsonText({}),
  });
  const object = render(entry);
  for (const property of ['confidence', 'valid_until', 'external_references', 'revoked'])
    t.notOk(property in object, property);
  t.same(object['labels'], ['tlp:green'], 'the level stays readable for tools that know no markings');
});

t.test('a tombstone is revoked and ends', async (t) => {
  const entry = indicatorEntry(address, {
    revoked: true,
    reason: 'vanished',
    version: CREATED + 5000,
    validUntil: CREATED + 1000,
  });
  t.match(render(entry), {
    revoked: true,
    modified: '2026-11-20T10:11:12.350Z',
    valid_until: '2026-11-20T10:11:12.346Z',
  });
});

t.test('without a name or description of its own an indicator has its value, and who reported it', async (t) => {
  const sources = (...names: string[]) => jsonText(names.map((feed_name, i) => ({ feed: `f${i}`, feed_name })));
  const described = (...names: string[]) =>
    render(indicatorEntry(address, { sources: sources(...names) }))['description'];
  t.equal(render(indicatorEntry(address))['name'], '198.51.100.3');
  t.equal(described('URLhaus'), 'IPv4 address reported by URLhaus.');
  t.equal(described('A', 'A', 'B', 'C', 'D'), 'IPv4 address reported by A, B, C.');
  t.equal(described('A b', 'a-B', 'C', 'c', 'D'), 'IPv4 address reported by A b, C, D.', 'each publisher once');
  t.equal(described('say "x"', 'back\\', 'ü\n'), 'IPv4 address reported by say "x", back\\, ü\n.');
  t.equal(described(), 'IPv4 address.');
  const disguised = jsonText([{ feed: 'f', feed_name: 'A', article_title: '"feed_name":"B"' }]);
  t.equal(render(indicatorEntry(address, { sources: disguised }))['description'], 'IPv4 address reported by A.');
});

t.test('indicator types: what upstream says, else malicious, unknown where nobody has any confidence', async (t) => {
  t.same(render(indicatorEntry(address, { confidence: null }))['indicator_types'], ['malicious-activity']);
  t.same(render(indicatorEntry(address, { confidence: 0 }))['indicator_types'], ['unknown']);
  const kept = jsonText({ indicator_types: ['anonymization'] });
  t.same(render(indicatorEntry(address, { kept }))['indicator_types'], ['anonymization']);
});

t.test('a CVE is a vulnerability: named so, with its own reference first, without pattern or validity', async (t) => {
  const object = render(indicatorEntry(cve, { references, name: 'Log4Shell' }));
  t.match(object, { type: 'vulnerability', name: 'CVE-2024-12345', confidence: 85 });
  t.same((object['external_references'] as JsonObject[])[0], { source_name: 'cve', external_id: 'CVE-2024-12345' });
  t.equal((object['external_references'] as JsonObject[]).length, 2);
  t.same(Object.keys(object), [
    'type',
    'spec_version',
    'id',
    'created_by_ref',
    'created',
    'modified',
    'name',
    'description',
    'confidence',
    'labels',
    'external_references',
    'object_marking_refs',
  ]);
});

t.test('markings follow the TLP version that readers know, and kept ones stay beside them', async (t) => {
  for (const tlp of tlpLevels) {
    const entry = indicatorEntry(address, { tlp });
    t.same(render(entry)['object_marking_refs'], [markingId(tlp, 2)]);
    t.same(render(entry, 1)['object_marking_refs'], [markingId(tlp, 1)]);
    t.same(render(entry)['labels'], [`tlp:${tlp}`]);
  }
  const statement = 'marking-definition--28bb3599-77cd-4a82-a950-b5bc3caf07c4';
  for (const rest of [{}, { lang: 'en' }]) {
    const object = render(indicatorEntry(address, { kept: jsonText({ object_marking_refs: [statement], ...rest }) }));
    t.same(object['object_marking_refs'], [markingId('green'), statement]);
    t.equal(object['lang'], (rest as JsonObject)['lang']);
  }
});

t.test('kept properties come last and verbatim; none of ours can be among them', async (t) => {
  const kept = { kill_chain_phases: [{ kill_chain_name: 'a', phase_name: 'b' }], x_acme: { score: 3 } };
  const text = renderEntry(indicatorEntry(address, { kept: jsonText(kept) }), context);
  t.ok(text.endsWith(`,${JSON.stringify(kept).slice(1)}`));
  const whole = { references, revoked: true };
  const said = [address, cve].flatMap((observable) => Object.keys(render(indicatorEntry(observable, whole))));
  const joined = ['indicator_types', 'object_marking_refs'];
  t.same(ownProperties, new Set(said.filter((property) => !joined.includes(property))));
});

t.test('an object that came as STIX is served as it came', async (t) => {
  const raw = jsonText({ type: 'identity', x: 1.5 });
  t.equal(renderEntry({ kind: 'object', raw } as ObjectEntry, context), raw);
});

t.test('a list is its objects, whatever their sizes', async (t) => {
  const sized = (units: number) =>
    ({ kind: 'object', raw: jsonText('\u00e9\u{1f980}'.repeat(units / 3)) }) as ObjectEntry;
  const sizes = [3, 90_000, 300_000, 3, 1_200_000, 30, 300_000, 300_000];
  for (const entries of [[], [indicatorEntry(address, {})], [indicatorEntry(cve, {}), ...sizes.map(sized)]]) {
    const list = new ListWriter(context);
    for (const entry of entries.slice(0, 3)) list.add(entry);
    // What another writer gives back in between is not what this one holds.
    const other = new ListWriter(context);
    other.add(indicatorEntry(address, {}));
    t.equal(other.take('', '').toString(), renderEntry(indicatorEntry(address, {}), context));
    for (const entry of entries.slice(3)) list.add(entry);
    const expected = Buffer.from(`[${entries.map((entry) => renderEntry(entry, context)).join(',')}]`);
    t.ok(list.take('[', ']').equals(expected), `${entries.length} objects`);
  }
});

t.test('the text is that of the plain version, whatever the JSON columns hold', async () => {
  const name = fc.constantFrom('object_marking_refs', 'indicator_types', 'lang', 'x_a', '__proto__');
  const inner = fc.dictionary(name, fc.string({ unit: 'binary' }), { maxKeys: 3 });
  const marking = fc.constantFrom('marking-definition--a', 'marking-definition--b');
  const kept = fc.record(
    { lang: fc.string({ unit: 'binary' }), extensions: inner, indicator_types: fc.array(fc.string()), z: inner },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      anyObservable,
      fc.record({
        kept: fc.option(kept),
        markings: fc.option(fc.array(marking, { minLength: 1 })),
        first: fc.boolean(),
      }),
      fc.record({ labels: fc.array(fc.string({ unit: 'binary' })), names: fc.array(fc.string({ unit: 'binary' })) }),
      fc.record({ confidence: fc.option(fc.integer({ min: 0, max: 100 })), revoked: fc.boolean() }),
      (observable, { kept, markings, first }, { labels, names }, columns) => {
        const marked = markings === null ? {} : { object_marking_refs: markings };
        const entry = indicatorEntry(observable, {
          ...columns,
          kept: kept === null ? null : jsonText(first ? { ...marked, ...kept } : { ...kept, ...marked }),
          labels: jsonText(labels),
          references: jsonText(names.map((description) => ({ source_name: 'a', description }))),
          sources: jsonText(names.map((feed_name) => ({ feed: 'f', feed_name }))),
        });
        const noun = render({ ...entry, sources: jsonText([]) })['description'];
        const plain = plainObject(entry, context, String(noun).replace(/\.$/, ''));
        return renderEntry(entry, context) === JSON.stringify(plain);
      },
    ),
    { numRuns: 500 },
  );
});

t.test('whatever the columns hold, the text is JSON, says what they say, and has no key twice', async () => {
  const micros = fc.integer({ min: 0, max: 4_000_000_000_000 }).map((ms) => ms * 1000);
  const text = fc.option(fc.string({ unit: 'binary' }));
  const texts = fc.array(fc.string({ unit: 'grapheme' })).map((list) => jsonText(list));
  fc.assert(
    fc.property(
      anyObservable,
      fc.record({
        created: micros,
        version: micros,
        validFrom: micros,
        validUntil: fc.option(micros),
        name: text,
        description: text,
        labels: texts,
      }),
      fc.array(fc.string({ unit: 'binary' })),
      (observable, columns, names) => {
        const sources = jsonText(names.map((feed_name) => ({ feed: 'f', feed_name })));
        const entry = indicatorEntry(observable, { ...columns, sources });
        const rendered = renderEntry(entry, context);
        const object = JSON.parse(rendered) as JsonObject;
        const isCve = observable.type === 'cve';
        const wellFormed = (value: string) => JSON.parse(JSON.stringify(value));
        return (
          // Equal only when no key came twice and nothing was escaped otherwise than JSON does.
          JSON.stringify(object) === rendered &&
          object['created'] === formatMillis(entry.created) &&
          object['modified'] === formatMillis(entry.version) &&
          (isCve || object['valid_from'] === formatMillis(entry.validFrom)) &&
          (isCve || object['pattern'] === formatPattern(observable)) &&
          (entry.description === null || object['description'] === wellFormed(entry.description)) &&
          object['name'] === wellFormed(isCve ? entry.value : (entry.name ?? entry.value))
        );
      },
    ),
    { numRuns: 500 },
  );
});

t.test('the judges in Python reach nothing beyond this machine', async (t) => {
  const script = 'import socket\nsocket.create_connection(("198.51.100.1", 80), 1)';
  const result = await runPython(t, script);
  if (result !== null) t.match(result, { code: 1, stderr: /tests never leave this machine: 198\.51\.100\.1/ });
});

/** Recommendations that Sluice departs from on purpose, by the validator's own names. */
const departures = [
  // Ids are derived, so that they survive restarts and replicas (STIX 2.1 section 2.9: SHOULD be version 4).
  /is not a valid UUIDv4 ID/,
  // Nobody can promise a hash of a page on the web.
  /has a URL but no hash/,
];

t.test(
  'every kind of entry, live and withdrawn, at each TLP, stands before the OASIS validator and stix2',
  async (t) => {
    const rich = {
      labels: jsonText(['botnet', 'ünï']),
      references,
      kept: jsonText({
        object_marking_refs: ['marking-definition--28bb3599-77cd-4a82-a950-b5bc3caf07c4'],
        lang: 'en',
        indicator_types: ['compromised'],
        kill_chain_phases: [{ kill_chain_name: 'mitre-attack', phase_name: 'command-and-control' }],
      }),
    };
    const entries = observableTypes.flatMap((type) =>
      tlpLevels.flatMap((tlp) => {
        const observable = { type, value: samples[type] };
        const live = indicatorEntry(observable, tlp === 'amber' && type !== 'cve' ? { tlp, ...rich } : { tlp });
        const withdrawn = {
          revoked: true,
          reason: 'vanished',
          version: CREATED + 5000,
          validUntil: CREATED + 1000,
        } as const;
        return [live, indicatorEntry(observable, { tlp, references, ...withdrawn })];
      }),
    );
    const texts = entries.map((entry, i) => renderEntry(entry, { ...context, tlpVersion: i % 3 === 0 ? 1 : 2 }));
    for (const text of texts) t.notOk('reason' in checkStixObject(JSON.parse(text)), 'and before our own check');
    const findings = await judgeStix(t, texts);
    if (findings === null) return;
    t.equal(findings.length, entries.length);
    for (const { id, errors, warnings, parse } of findings) {
      t.same(errors, [], id);
      t.equal(parse, null, id);
      t.same(
        warnings.filter((warning) => !departures.some((known) => known.test(warning))),
        [],
        id,
      );
    }
  },
);

// slow (14 s): hostile STIX, judged by OASIS' validator
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Json, JsonObject } from '../../src/model/json.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { harms, soundObjects } from '../helpers/hostile-stix.ts';
import { judgeStix } from '../helpers/judge-stix.ts';
import { START, uuidOf } from '../helpers/store.ts';

// A validator in Python judges two thousand objects.
t.setTimeout(300_000);

const yaml = `
data: ./data
feeds:
  acme: { format: stix, path: ./in, tlp: clear, lifetime: 3650d }
pools:
  main: { feeds: [acme] }
collections:
  all: { pool: main, objects: all }
`;

/** What a gateway serves of these objects, and what it says of the rest. */
async function serve(t: Test, objects: Json[]) {
  const dir = t.testdir({ in: {} });
  const gateway = await openGateway(t, dir, yaml, { clock: scriptedClock(START, { auto: true }) });
  writeFileSync(join(dir, 'in', 'a.json'), JSON.stringify({ type: 'bundle', id: `bundle--${uuidOf('b')}`, objects }));
  const report = await gateway.side.poll('acme');
  const served = await readAll(gateway, 'all', 'limit=5000');
  const { rows } = await gateway.side.rejections('acme', 10_000);
  return { report, served, rows };
}

/** Everything that is served passes the MUSTs of OASIS' validator. */
async function judge(t: Test, served: Record<string, any>[]): Promise<void> {
  const texts = served.map((object) => JSON.stringify(object));
  for (const text of texts) if (!JSON.parse(text) || !text.isWellFormed()) t.fail(`lone surrogates in ${text}`);
  t.notMatch(texts.join('\n'), /\\u(?:d[89a-f]|202[a-e]|206[6-9])/i);
  const findings = await judgeStix(t, texts, 'musts');
  for (const [i, finding] of (findings ?? []).entries()) {
    if (finding.errors.length > 0) t.fail(`${finding.errors.join('; ')}: ${texts[i]?.slice(0, 600)}`);
  }
  t.comment(`${served.length} judged`);
}

t.test(
  'whatever comes, all that is served is STIX 2.1, and all that is not is told',
  { timeout: 300_000 },
  async (t) => {
    const sent = Object.entries(harms).flatMap(([harm, apply]) => soundObjects(harm).map(apply));
    const { report, served, rows } = await serve(t, sent);
    t.match(report, { outcome: 'whole', accepted: sent.length - report.rejected });
    t.ok(served.length > sent.length / 2);
    await judge(t, served);
    const ids = new Set(served.map(({ id }) => id));
    for (const object of soundObjects('none')) t.ok(ids.has(object['id']), `a sound ${object['type']} is served`);
    const isTold = (object: JsonObject) => rows.some(({ row }) => row.includes(String(object['id'])));
    const lost = sent.filter((object) => !ids.has(object['id']) && !isTold(object));
    t.same(
      lost.map((object) => JSON.stringify(object)),
      [],
    );
  },
);

t.test('objects that are made of anything', { timeout: 300_000 }, async (t) => {
  const names = [...new Set(soundObjects('x').flatMap((object) => Object.keys(object)))];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<Json>('2025-11-20T03:04:05.000Z', `malware--${uuidOf('m')}`, true, 1, ['a'], 'en', {}),
  ) as fc.Arbitrary<Json>;
  const changes = fc.dictionary(
    fc.constantFrom(...names, 'x_acme', 'labels', 'lang', 'extensions', 'granular_markings'),
    value,
    {
      minKeys: 1,
      maxKeys: 3,
    },
  );
  const cases = fc.sample(changes, { numRuns: 600, seed: 42 });
  const sent = cases.map((change, i): JsonObject => {
    const all = soundObjects(`random ${i}`);
    const sound = all[i % all.length] as JsonObject;
    const { type: _, id: __, ...harm } = change as JsonObject;
    return { ...sound, ...harm };
  });
  const { report, served } = await serve(t, sent);
  t.match(report, { outcome: 'whole', accepted: sent.length - report.rejected });
  await judge(t, served);
});

t.test('what can be repaired without a guess is served, and each repair is told', async (t) => {
  const malware = (n: number, more: JsonObject): JsonObject => ({
    type: 'malware',
    spec_version: '2.1',
    id: `malware--0000000${n}-0000-4000-8000-000000000000`,
    created: '2025-11-20T03:04:05.000Z',
    modified: '2025-11-20T03:04:05.000Z',
    name: `m${n}`,
    is_family: false,
    ...more,
  });
  const { is_family: _, spec_version: __, ...old } = malware(1, { labels: ['trojan', 'nasty'] });
  const { modified: ___, ...unmodified } = malware(5, {});
  const cases: [JsonObject, JsonObject, RegExp][] = [
    [old, { ...old, spec_version: '2.1', is_family: true, malware_types: ['trojan'] }, /STIX 2.0, served as 2.1/],
    [
      malware(2, { created: '2025-11-20T03:04:05Z', first_seen: '2025-11-20T04:04:05+01:00' }),
      malware(2, { first_seen: '2025-11-20T03:04:05.000Z' }),
      /created: 2025-11-20T03:04:05Z, served as 2025-11-20T03:04:05.000Z/,
    ],
    [
      malware(3, { created: '2025-11-20T03:04:05.123456+00:00', modified: '2025-11-20T03:04:05.123456789Z' }),
      malware(3, { created: '2025-11-20T03:04:05.123456Z', modified: '2025-11-20T03:04:05.123456Z' }),
      /modified: 2025-11-20T03:04:05.123456789Z, served as 2025-11-20T03:04:05.123456Z/,
    ],
    [malware(4, { x_vendorId: '1' }), malware(4, { x_vendorid: '1' }), /x_vendorId: served as x_vendorid/],
    [unmodified, malware(5, {}), /modified: absent, taken to be created/],
    [
      malware(6, { x_vendorId: '1', x_vendorid: '2' }),
      malware(6, { x_vendorid: '2' }),
      /x_vendorId: no name of a property/,
    ],
    [malware(7, { description: 'a\ud800' }), malware(7, { description: 'a\ufffd' }), /no Unicode/],
    [malware(8, { name: 'a\u202eb' }), malware(8, { name: 'ab' }), /name: control characters taken out/],
    [malware(9, { spec_version: '2.0', is_family: false }), malware(9, {}), /STIX 2.0/],
  ];
  const { report, served, rows } = await serve(
    t,
    cases.map(([sent]) => sent),
  );
  t.match(report, { accepted: cases.length, rejected: 0 });
  for (const [sent, kept, note] of cases) {
    t.same(
      served.find(({ id }) => id === sent['id']),
      kept,
    );
    const told = rows.find(({ row }) => row.includes(String(sent['id'])));
    t.match(told, { reason: 'bad-property', detail: note });
  }
  await judge(t, served);
});

t.test(
  'an indicator of ours keeps its types beside an extension that has some, and nothing that readers refuse',
  async (t) => {
    const extension = `extension-definition--${uuidOf('e')}`;
    const sent = {
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--${uuidOf('i')}`,
      created: '2025-11-20T03:04:05.000Z',
      modified: '2025-11-20T03:04:05.000Z',
      name: 'gpj\u202efdp.exe',
      description: 'a\u2066b\u2028c',
      labels: ['\u202elabel'],
      pattern: "[domain-name:value = 'a.example.com']",
      pattern_type: 'stix',
      extensions: { [extension]: { extension_type: 'property-extension', indicator_types: ['x'] } },
      lang: 'klingon',
      x_broken: 'a\ud800',
      kill_chain_phases: [{ kill_chain_name: 'k' }],
    };
    const { served, rows } = await serve(t, [sent]);
    const found = served.find(({ type }) => type === 'indicator');
    t.match(found, {
      name: 'gpjfdp.exe',
      description: 'ab c',
      labels: ['tlp:clear', 'label'],
      indicator_types: ['malicious-activity'],
      extensions: sent.extensions,
      valid_from: '2025-11-20T03:04:05.000Z',
    });
    for (const name of ['lang', 'x_broken', 'kill_chain_phases']) {
      t.notOk(name in (found ?? {}), name);
      t.match(rows[0]?.detail, name);
    }
    await judge(t, served);
  },
);

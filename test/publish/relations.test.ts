import t, { type Test } from 'tap';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { ObjectEntry } from '../../src/model/entry.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { markingId } from '../../src/stix/marking.ts';
import { checkStixObject } from '../../src/stix/validate.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

/** Relations to indicators and vulnerabilities that are merged: what they point at in each journal, at any time. */

const time = (day: number): string => formatMillis(START + (day - 30) * MICROS_PER_DAY);
const object = (type: string, name: string, over: JsonObject = {}, day = 0): JsonObject => ({
  type,
  spec_version: '2.1',
  id: `${type}--${uuidOf(name)}`,
  created: time(0),
  modified: time(day),
  ...over,
});
const domains = (...names: string[]): string => names.map((name) => `domain-name:value = '${name}'`).join(' OR ');
const indicator = (name: string, values: string[], over: JsonObject = {}, day = 0) =>
  object(
    'indicator',
    name,
    { pattern_type: 'stix', pattern: `[${domains(...values)}]`, valid_from: time(0), ...over },
    day,
  );
const idOf = (type: string, name: string): string => `${type}--${uuidOf(name)}`;
const [X, MALWARE] = [idOf('indicator', 'x'), idOf('malware', 'm')];
const malware = object('malware', 'm', { name: 'm', is_family: true });
const link = (name: string, source: string, target: string, over: JsonObject = {}, day = 0) =>
  object(
    'relationship',
    name,
    { relationship_type: 'indicates', source_ref: source, target_ref: target, ...over },
    day,
  );
const relation = link('r', X, MALWARE);
const relationId = idOf('relationship', 'r');

const house = feed('house', { mode: 'delta' });
const whole = journal({ objects: 'all' });
const open = (t: Test, feeds = [house], journals = [whole]) => openBench(t, feeds, journals);
const pull = (bench: Bench, of: typeof house, ...batches: JsonObject[][]) =>
  bench.pull(of, ...batches.map((batch) => batch.map((stix) => ({ stix }))));

/** The relation as a journal's readers have it last; null before they heard of it. */
async function told(bench: Bench, id = relationId, name = 'pool:main'): Promise<Record<string, unknown> | null> {
  const entry = (await bench.entries(name)).find((one) => one.objectId === id) as ObjectEntry | undefined;
  if (entry === undefined) return null;
  const raw = JSON.parse(entry.raw) as Record<string, unknown>;
  if (entry.version !== parseTimestamp(raw['modified'] as string)) throw new Error('dated otherwise than it says');
  return raw;
}
const servedId = async (bench: Bench, value: string, name = 'pool:main') =>
  (await bench.indicators(name)).live.find((entry) => entry.value === value)?.objectId;
/** What a journal leaves out of a feed's objects, by reason. */
const leftOut = async (bench: Bench, of = 'house', name = 'pool:main') =>
  (await bench.writer.served())
    .filter((one) => one.feed === of && one.journal === name && one.kind === 'object' && one.reason !== null)
    .map(({ reason, rows }) => `${rows} ${reason}`);

/** The relation points at the live entry of a value, in a version later than `before`. */
async function pointsAt(t: Test, bench: Bench, value: string, before?: Record<string, unknown> | null) {
  const [now, id] = [await told(bench), await servedId(bench, value)];
  t.ok(id, value);
  t.match(now, { source_ref: id, target_ref: MALWARE });
  t.notOk(now?.['revoked'], 'in force');
  if (before) t.ok((now?.['modified'] as string) > (before['modified'] as string), 'a later version');
  t.strictSame(await leftOut(bench), []);
  return now;
}

for (const mode of ['delta', 'snapshot'] as const) {
  t.test(
    `${mode}: whichever comes first, in a batch, in batches or in polls, the relation has the served id`,
    async (t) => {
      const all = [indicator('x', ['a.example']), malware, relation];
      const orders = [all, all.toReversed()];
      for (const [first, second, third] of orders as [JsonObject, JsonObject, JsonObject][]) {
        for (const batches of [[[first, second, third]], [[first], [second], [third]]]) {
          const bench = await open(t, [feed('house', { mode })]);
          await pull(bench, feed('house', { mode }), ...batches);
          const now = await pointsAt(t, bench, 'a.example');
          t.equal(now?.['modified'], time(0), "its author's own version");
          t.match(await pull(bench, feed('house', { mode }), ...batches), { entries: 0, rejected: 0 });
        }
      }
    },
  );
}

t.test('a relation whose end never came is counted, and is served when it comes in a later poll', async (t) => {
  const bench = await open(t);
  t.match(await pull(bench, house, [malware, relation]), { accepted: 2, rejected: 0 });
  t.equal(await told(bench), null);
  t.strictSame(await leftOut(bench), ['1 end-not-served']);
  await pull(bench, house, [indicator('x', ['a.example'])]);
  await pointsAt(t, bench, 'a.example');
});

t.test('either end, sightings and vulnerabilities are published with served ids', async (t) => {
  const bench = await open(t);
  const cve = object('vulnerability', 'v', { name: 'CVE-2025-12345' });
  await pull(bench, house, [
    link('to', MALWARE, X, { relationship_type: 'related-to' }),
    link('both', X, idOf('vulnerability', 'v'), { relationship_type: 'related-to' }),
    object('sighting', 's', { sighting_of_ref: X }),
    indicator('x', ['a.example']),
    cve,
    malware,
  ]);
  const [a, v] = [await servedId(bench, 'a.example'), await servedId(bench, 'CVE-2025-12345')];
  t.match(v, /^vulnerability--/);
  t.match(await told(bench, idOf('relationship', 'to')), { source_ref: MALWARE, target_ref: a });
  t.match(await told(bench, idOf('relationship', 'both')), { source_ref: a, target_ref: v });
  t.match(await told(bench, idOf('sighting', 's')), { sighting_of_ref: a });
  for (const entry of await bench.entries()) {
    if (entry.kind === 'object') checkStixObject(JSON.parse(entry.raw), (fault) => t.fail(JSON.stringify(fault)));
  }
});

t.test('a relation follows when its indicator is of another value, goes, and comes back', async (t) => {
  const bench = await open(t);
  await pull(bench, house, [indicator('x', ['a.example']), malware, relation]);
  const first = await pointsAt(t, bench, 'a.example');
  await pull(bench, house, [indicator('x', ['b.example'], {}, 1)]);
  const second = await pointsAt(t, bench, 'b.example', first);
  await pull(bench, house, [indicator('x', ['b.example'], { revoked: true }, 2)]);
  const third = await told(bench);
  t.match(third, { revoked: true, source_ref: second?.['source_ref'] });
  t.ok((third?.['modified'] as string) > (second?.['modified'] as string));
  t.strictSame(await leftOut(bench), ['1 end-not-served']);
  await pull(bench, house, [indicator('x', ['b.example'], {}, 3)]);
  const fourth = await pointsAt(t, bench, 'b.example', third);
  t.not(fourth?.['source_ref'], second?.['source_ref'], 'the new indicator of the value');
  await pull(bench, house, [link('r', X, MALWARE, { description: 'more' }, 4)]);
  t.match(await pointsAt(t, bench, 'b.example', fourth), { description: 'more' });
  await pull(bench, house, [link('r', X, MALWARE, { revoked: true }, 5)]);
  t.match(await told(bench), { revoked: true, source_ref: fourth?.['source_ref'] }, 'its author takes it back');
  await pull(bench, house, [indicator('x', ['c.example'], {}, 6)]);
  t.match(await told(bench), { revoked: true, source_ref: fourth?.['source_ref'] }, 'for good');
});

t.test('a version of its author that says the same is served under its own date', async (t) => {
  const bench = await open(t);
  await pull(bench, house, [indicator('x', ['a.example']), malware, relation]);
  await pull(bench, house, [link('r', X, MALWARE, {}, 1)]);
  t.equal((await pointsAt(t, bench, 'a.example'))?.['modified'], time(1));
});

t.test('relations to each of two indicators on one value point at it', async (t) => {
  const bench = await open(t);
  await pull(bench, house, [malware, relation, link('o', idOf('indicator', 'y'), MALWARE)]);
  await pull(bench, house, [indicator('x', ['a.example']), indicator('y', ['a.example'])]);
  const id = await servedId(bench, 'a.example');
  t.match(await told(bench), { source_ref: id });
  t.match(await told(bench, idOf('relationship', 'o')), { source_ref: id });
});

t.test('of two feeds that hold a relation, the newest version of its author counts, known end or not', async (t) => {
  const other = feed('other', { mode: 'delta' });
  const bench = await open(t, [house, other]);
  const author = { created_by_ref: idOf('identity', 'author') };
  await pull(bench, house, [indicator('x', ['a.example']), malware, link('r', X, MALWARE, author)]);
  await pointsAt(t, bench, 'a.example');
  await pull(bench, other, [link('r', X, MALWARE, { ...author, revoked: true }, 1)]);
  t.match(await told(bench), { revoked: true, source_ref: await servedId(bench, 'a.example') });
});

t.test('a relation that its author revoked before it was served is never published', async (t) => {
  const bench = await open(t);
  await pull(bench, house, [indicator('x', ['a.example']), link('r', X, MALWARE, { revoked: true })]);
  t.equal(await told(bench), null);
  t.strictSame(await leftOut(bench), ['1 revoked']);
});

t.test(
  'a relation leaves when its indicator vanishes from a snapshot or expires, though others say the value',
  async (t) => {
    const [snapshot, other] = [feed('house'), feed('other')];
    const bench = await open(t, [snapshot, other]);
    const same = { ...indicator('y', ['a.example']) };
    await pull(bench, snapshot, [indicator('x', ['a.example']), malware, relation]);
    await pull(bench, other, [same]);
    const first = await pointsAt(t, bench, 'a.example');
    const id = await servedId(bench, 'a.example');
    await pull(bench, snapshot, [malware, relation]);
    t.equal(await servedId(bench, 'a.example'), id, 'the other still says it');
    t.match(await told(bench), { revoked: true });
    await pull(bench, snapshot, [malware, relation, indicator('z', ['a.example'])]);
    t.match(await told(bench), { revoked: true }, 'another indicator on the value is not its end');
    await pull(bench, snapshot, [malware, relation, indicator('x', ['a.example'], { valid_until: time(40) })]);
    await pointsAt(t, bench, 'a.example', first);
    bench.clock.set(START + 11 * MICROS_PER_DAY);
    await pull(bench, other, [same]);
    await bench.tick();
    t.equal(await servedId(bench, 'a.example'), id);
    t.match(await told(bench), { revoked: true });
  },
);

t.test('feeds that merge on one value each have their relations on its one id', async (t) => {
  const other = feed('other', { mode: 'delta' });
  const bench = await open(t, [house, other]);
  await pull(bench, house, [indicator('x', ['a.example']), malware, relation]);
  await pull(bench, other, [link('o', idOf('indicator', 'y'), MALWARE), link('x', X, MALWARE)]);
  t.strictSame(
    await leftOut(bench, 'other'),
    ['2 end-not-served'],
    "an id that is known to another feed isn't to this",
  );
  await pull(bench, other, [indicator('y', ['a.example'])]);
  const id = await servedId(bench, 'a.example');
  t.match(await told(bench), { source_ref: id });
  t.match(await told(bench, idOf('relationship', 'o')), { source_ref: id });
  t.strictSame(await leftOut(bench, 'other'), ['1 end-not-served']);
  await pull(bench, house, [indicator('x', ['a.example'], { revoked: true }, 1)]);
  t.equal(await servedId(bench, 'a.example'), id);
  t.match(await told(bench), { revoked: true });
  t.notOk((await told(bench, idOf('relationship', 'o')))?.['revoked']);
});

t.test('an indicator of several values is served by the entry with the smallest key', async (t) => {
  const bench = await open(t);
  await pull(bench, house, [indicator('x', ['a.example', 'b.example', 'c.example']), malware, relation]);
  const order = (await bench.indicators()).live.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ value }) => value);
  const [first, second, third] = order as [string, string, string];
  let before = await pointsAt(t, bench, first);
  await pull(bench, house, [indicator('x', [second, third], {}, 1)]);
  before = await pointsAt(t, bench, second, before);
  await pull(bench, house, [indicator('x', [third], {}, 2)]);
  before = await pointsAt(t, bench, third, before);
  await pull(bench, house, [indicator('x', [third, first], {}, 3)]);
  await pointsAt(t, bench, first, before);
});

t.test(
  'each journal points at its own, and where the indicator is above the ceiling no reader learns of it',
  async (t) => {
    const green = journal({ objects: 'all', tlp: 'green' }, { name: 'collection:green' });
    const none = journal({}, { name: 'collection:none' });
    const other = feed('other', { mode: 'delta' });
    const bench = await open(t, [house, other], [whole, green, none]);
    const amber = { object_marking_refs: [markingId('amber')] };
    await pull(bench, house, [indicator('x', ['a.example'], amber), malware, relation]);
    await pointsAt(t, bench, 'a.example');
    t.equal(await told(bench, relationId, 'collection:green'), null);
    await pull(bench, other, [indicator('y', ['a.example'])]);
    t.ok(await servedId(bench, 'a.example', 'collection:green'), 'another feed says the value for all to hear');
    t.equal(await told(bench, relationId, 'collection:green'), null, 'that the first says it as well stays unsaid');
    t.strictSame(await leftOut(bench, 'house', 'collection:green'), ['1 end-not-served']);
    await pull(bench, house, [indicator('x', ['a.example'], {}, 1)]);
    const id = await servedId(bench, 'a.example', 'collection:green');
    t.match(await told(bench, relationId, 'collection:green'), { source_ref: id });
    t.not(id, await servedId(bench, 'a.example'), 'an id for each journal');
    await pull(bench, house, [indicator('x', ['a.example'], amber, 2)]);
    t.match(await told(bench, relationId, 'collection:green'), { revoked: true });
    await pointsAt(t, bench, 'a.example');
    t.strictSame(await leftOut(bench, 'house', 'collection:none'), ['2 objects-not-taken']);
  },
);

t.test(
  'an indicator that passes as it came keeps its id as an end, also when it becomes one that is merged',
  async (t) => {
    const bench = await open(t);
    const complex = indicator('x', [], { pattern: "[mutex:name = 'x'] AND [file:name = 'y']" });
    await pull(bench, house, [malware, relation]);
    await pull(bench, house, [complex]);
    const first = await told(bench);
    t.match(first, { source_ref: X, modified: time(0) });
    await pull(bench, house, [indicator('x', ['a.example'], {}, 1)]);
    const second = await pointsAt(t, bench, 'a.example', first);
    await pull(bench, house, [{ ...complex, modified: time(2) }]);
    const third = await told(bench);
    t.match(third, { source_ref: X });
    t.notOk(third?.['revoked']);
    t.ok((third?.['modified'] as string) > (second?.['modified'] as string));
    await pull(bench, house, [link('r', X, MALWARE, { revoked: true, description: 'wrong' }, 3)]);
    t.match(await told(bench), { source_ref: X, revoked: true, description: 'wrong' }, 'in the words of its author');
    bench.clock.set(START + 31 * MICROS_PER_DAY);
    await bench.tick();
    t.equal(await told(bench), null, 'and not for ever');
  },
);

t.test('relations follow a policy that changes, and a new start alone changes nothing', async (t) => {
  const bench = await open(t);
  await pull(bench, house, [indicator('x', ['a.example'], { confidence: 40 }), malware, relation]);
  const first = await pointsAt(t, bench, 'a.example');
  const again = await openBench(t, [house], [whole], bench);
  t.strictSame(await pointsAt(t, again, 'a.example'), first);
  const strict = await openBench(t, [house], [journal({ objects: 'all', minConfidence: 50 })], again);
  t.match(await told(strict), { revoked: true });
  t.strictSame(await leftOut(strict), ['1 end-not-served']);
  const back = await openBench(t, [house], [whole], strict);
  await pointsAt(t, back, 'a.example', first);
});

t.test('however many relations point at one indicator, all follow', async (t) => {
  const bench = await open(t);
  const many = Array.from({ length: 2100 }, (_, n) => link(`many ${n}`, X, MALWARE));
  await pull(bench, house, [...many, malware], [indicator('x', ['a.example'])]);
  const sources = async () => {
    const objects = (await bench.entries()).filter(
      (entry) => entry.kind === 'object' && entry.stixType === 'relationship',
    );
    return new Set(objects.map((entry) => JSON.parse((entry as ObjectEntry).raw).source_ref)).size === 1
      ? [objects.length, JSON.parse((objects[0] as ObjectEntry).raw).source_ref]
      : [];
  };
  t.strictSame(await sources(), [2100, await servedId(bench, 'a.example')]);
  await pull(bench, house, [indicator('x', ['b.example'], {}, 1)]);
  t.strictSame(await sources(), [2100, await servedId(bench, 'b.example')]);
});

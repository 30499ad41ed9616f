import { readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { isTrue } from '../../src/feeds/misp/attribute.ts';
import { readEvent } from '../../src/feeds/misp/event.ts';
import { KnownEvents } from '../../src/feeds/misp/known-events.ts';
import { LeftOut } from '../../src/feeds/misp/left-out.ts';
import { readManifest } from '../../src/feeds/misp/manifest.ts';
import { mispFeed } from '../../src/feeds/misp-feed.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { isJsonObject, type Json, type JsonObject } from '../../src/model/json.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { codeOf, openFeedBench, pull } from '../helpers/feed.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { feed as definitionOf } from '../helpers/journals.ts';
import { judgeStix } from '../helpers/judge-stix.ts';
import { attributeOf, CHANGED, eventOf, type MispOptions, startMisp } from '../helpers/misp-upstream.ts';
import { uuidOf } from '../helpers/store.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures', 'feeds', 'misp');
const NOW = CHANGED * MICROS_PER_SECOND + MICROS_PER_DAY;

const yaml = (feed: string): string => `
data: ./data
feeds: { misp: ${feed} }
pools: { main: { feeds: [misp] } }
collections: { all: { pool: main } }
`;

async function openMisp(t: Test, options: object = {}, serverOptions: MispOptions = {}) {
  const misp = await startMisp(t, serverOptions);
  const all = { url: `${misp.url}/feed/`, per_minute: 100_000, ...options };
  const bench = await openFeedBench(t, mispFeed, all, { clock: scriptedClock(NOW, { auto: true }) });
  const add = (event: JsonObject): void => void misp.events.set(String(event['uuid']), event);
  const asked = (): string[] => misp.requests.splice(0).map(({ path }) => path.replace('/feed/', ''));
  return { misp, bench, add, asked };
}

const fileOf = (n: number): string => `${uuidOf(`event ${n}`)}.json`;
const valuesOf = (items: readonly unknown[]): unknown[] => items.map((item) => isJsonObject(item) && item['value']);

for (const name of ['circl', 'botvrij']) {
  t.test(`the rows of ${name}`, async (t) => {
    const bench = await openFeedBench(t, mispFeed, { path: join(fixtures, name) }, { clock: scriptedClock(NOW) });
    const { items, rejected, error } = await pull(mispFeed, bench.context());
    t.equal(error, null);
    const outcomes = items.map((item) => normalise(item, definitionOf('misp'), NOW));
    const found = { outcomes, left_out: rejected.map(({ detail }) => detail) };
    const expected = join(fixtures, `${name}.expected.json`);
    const text = `${JSON.stringify(found, null, 2)}\n`;
    if (process.env['SLUICE_WRITE_FIXTURES'] === '1') writeFileSync(expected, text);
    t.same(JSON.parse(text), JSON.parse(readFileSync(expected, 'utf8')));
  });
}

t.test('what is served of events is STIX 2.1, and tells where it comes from', async (t) => {
  const clock = scriptedClock(NOW, { auto: true });
  const feed = `{ format: misp-feed, path: ${join(fixtures, 'circl')} }`;
  const gateway = await openGateway(t, t.testdir(), yaml(feed), { clock });
  t.match(await gateway.side.poll('misp'), { outcome: 'whole', error: null });
  const served = await readAll(gateway, 'all');
  t.ok(served.length > 10);
  t.match(JSON.stringify(served), /OSINT - Loader campaign uses Emotet, again/);
  const texts = served.map((object) => JSON.stringify(object));
  for (const finding of (await judgeStix(t, texts)) ?? []) t.same(finding.errors, [], finding.id);
});

t.test('a key is sent as the feed wants it', async (t) => {
  const { misp, bench } = await openMisp(t);
  misp.options.auth = { header: 'authorization', value: 'k' };
  t.equal(codeOf((await pull(mispFeed, bench.context())).error), 'upstream-forbidden');
});

t.test('only events that are new or changed are fetched, also those that are older than others', async (t) => {
  const { bench, add, asked } = await openMisp(t);
  add(eventOf(1, [attributeOf(1)]));
  add(eventOf(2, [attributeOf(2)]));
  const first = await pull(mispFeed, bench.context());
  t.same(asked(), ['manifest.json', fileOf(1), fileOf(2)]);
  const second = await pull(mispFeed, bench.context({ cursor: first.cursor }));
  t.same(asked(), ['manifest.json']);
  t.equal(second.batches.at(-1)?.last, true);
  add(eventOf(0, [attributeOf(0)]));
  add(eventOf(1, [attributeOf(1)], { timestamp: String(CHANGED + 100) }));
  await pull(mispFeed, bench.context({ cursor: second.cursor }));
  t.same(asked(), ['manifest.json', fileOf(0), fileOf(1)]);
});

t.test('an event that is listed and not there is counted, and asked for again', async (t) => {
  const { misp, bench, add, asked } = await openMisp(t);
  for (let n = 1; n <= 3; n += 1) add(eventOf(n, [attributeOf(n)]));
  misp.events.set(uuidOf('event 2'), null);
  misp.faults.set(`/feed/${fileOf(3)}`, 'half');
  const first = await pull(mispFeed, bench.context());
  t.same([first.error, valuesOf(first.items)], [null, ['host-1.example.com']]);
  t.same(
    first.rejected.map(({ reason, row }) => [reason, row]),
    [
      ['unreadable-file', `event ${uuidOf('event 2')}`],
      ['unreadable-file', `event ${uuidOf('event 3')}`],
    ],
  );
  t.match(first.rejected[0]?.detail, /404/);
  asked();
  add(eventOf(2, [attributeOf(2)]));
  misp.faults.clear();
  const second = await pull(mispFeed, bench.context({ cursor: first.cursor }));
  t.same(asked(), ['manifest.json', fileOf(2), fileOf(3)]);
  t.same(valuesOf(second.items), ['host-2.example.com', 'host-3.example.com']);
});

t.test('an event that is too large costs itself only, and is asked for again when it changed', async (t) => {
  const { misp, bench, add, asked } = await openMisp(t);
  for (let n = 1; n <= 2; n += 1) add(eventOf(n, [attributeOf(n)]));
  misp.faults.set(`/feed/${fileOf(1)}`, 'endless');
  const first = await pull(mispFeed, bench.context());
  t.same([first.error, valuesOf(first.items)], [null, ['host-2.example.com']]);
  t.match(first.rejected, [{ reason: 'too-long', row: `event ${uuidOf('event 1')}` }]);
  asked();
  misp.faults.clear();
  const second = await pull(mispFeed, bench.context({ cursor: first.cursor }));
  t.same(asked(), ['manifest.json']);
  add(eventOf(1, [attributeOf(1)], { timestamp: String(CHANGED + 50) }));
  const third = await pull(mispFeed, bench.context({ cursor: second.cursor }));
  t.same(valuesOf(third.items), ['host-1.example.com']);
});

t.test('many events that are missing for good stop a pull once, and no later one', async (t) => {
  const { misp, bench, add } = await openMisp(t);
  for (let n = 0; n < 31; n += 1) add(eventOf(n, [attributeOf(n)]));
  for (let n = 1; n < 26; n += 1) misp.events.set(uuidOf(`event ${n}`), null);
  const all = new Map(misp.events);
  const first = await pull(mispFeed, bench.context());
  t.equal(codeOf(first.error), 'upstream-failed');
  misp.events = all;
  const second = await pull(mispFeed, bench.context({ cursor: first.cursor }));
  t.same([second.error, second.batches.at(-1)?.last], [null, true]);
  const third = await pull(mispFeed, bench.context({ cursor: second.cursor }));
  t.equal(third.error, null);
  t.equal(third.rejected.length, 25);
  t.ok(
    third.rejected.every(({ isNote }) => isNote === true),
    'they were counted before',
  );
});

t.test('an upstream of which no event can be read is a failure', async (t) => {
  const { misp, bench, add } = await openMisp(t);
  for (let n = 0; n < 30; n += 1) add(eventOf(n, [attributeOf(n)]));
  for (const uuid of misp.events.keys()) misp.events.set(uuid, null);
  const { error, batches } = await pull(mispFeed, bench.context());
  t.equal(codeOf(error), 'upstream-failed');
  t.notOk(batches.some(({ last }) => last));
  t.equal(misp.requests.length, 21, 'it is left alone soon');
  misp.events = new Map([...misp.events].slice(0, 2));
  t.equal(codeOf((await pull(mispFeed, bench.context())).error), 'upstream-failed', 'also where few are listed');
});

t.test('a first pull that is cut off goes on where it was', async (t) => {
  const { misp, bench, add, asked } = await openMisp(t);
  for (let n = 0; n < 50; n += 1) add(eventOf(n, [attributeOf(n)]));
  misp.faults.set(`/feed/${fileOf(45)}`, { status: 503 });
  const first = await pull(mispFeed, bench.context());
  t.equal(codeOf(first.error), 'upstream-failed');
  asked();
  misp.faults.clear();
  const second = await pull(mispFeed, bench.context({ cursor: first.cursor }));
  t.equal(asked().length, 11, 'the manifest and ten of fifty events');
  t.equal(second.batches.at(-1)?.last, true);
});

t.test('what is no manifest is told apart from one without events', async (t) => {
  const { misp, bench } = await openMisp(t);
  for (const manifest of [{ error: 'not found' }, ['a'], 'text', { Event: {} }]) {
    misp.options.manifest = manifest;
    const { error } = await pull(mispFeed, bench.context());
    t.equal(codeOf(error), 'upstream-malformed', JSON.stringify(manifest));
  }
  for (const manifest of [{}, []]) {
    misp.options.manifest = manifest;
    t.equal((await pull(mispFeed, bench.context())).batches.at(-1)?.last, true, JSON.stringify(manifest));
  }
  misp.down = 'html';
  const { error } = await pull(mispFeed, bench.context());
  t.match(error, { code: 'upstream-malformed', excerpt: /doctype/ });
});

t.test('a manifest that is a list of objects is read, and a name that is no uuid costs itself only', async (t) => {
  const { misp, bench, add, asked } = await openMisp(t);
  add(eventOf(1, [attributeOf(1)]));
  misp.options.manifest = [{ [uuidOf('event 1')]: { timestamp: CHANGED } }, { '../secret': { timestamp: '1' }, 0: {} }];
  const { items, rejected } = await pull(mispFeed, bench.context());
  t.same(valuesOf(items), ['host-1.example.com']);
  t.equal(rejected.length, 2);
  t.same(asked(), ['manifest.json', fileOf(1)]);
});

t.test('a manifest is read in pieces of any size, and may be very long', async (t) => {
  const text = `\ufeff{ "${uuidOf('1')}": {"info": "a \\"} , {", "Tag": [{"name": "x"}], "timestamp": 5},\n"${uuidOf('2')}":{} }\n`;
  for (const size of [1, 2, 7, 1000]) {
    const entries = await manifestOf(text, size);
    t.same(
      entries.map(([key]) => key),
      [uuidOf('1'), uuidOf('2')],
    );
    t.match(entries[0]?.[1], { info: 'a "} , {', timestamp: 5 });
  }
  for (const empty of ['{}', ' [ ] ', '{\n}']) t.same(await manifestOf(empty, 3), [], empty);
  for (const broken of [
    '',
    '{',
    '{"a":{}',
    '{"a":{},}',
    '{}{}',
    '{"a":{}]',
    '[1]',
    '[{}',
    'null',
    '{"a"}',
    '{,}',
    '<html>',
  ]) {
    await t.rejects(manifestOf(broken, 3), { code: 'upstream-malformed' }, broken);
  }
  await t.rejects(manifestOf(`{"a":"${'x'.repeat(1024 * 1024)}"}`, 100_000), { code: 'upstream-too-large' });
});

async function manifestOf(text: string, size: number): Promise<[string, Json][]> {
  const body = (async function* () {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  })();
  const entries: [string, Json][] = [];
  for await (const found of readManifest({ name: 'it', body })) entries.push(...found);
  return entries;
}

t.test('whatever stands in an event, each attribute is a row, a rejection or counted', async () => {
  const anything = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
  const names = [
    'type',
    'value',
    'to_ids',
    'deleted',
    'Tag',
    'Galaxy',
    'Sighting',
    'timestamp',
    'uuid',
    '__proto__',
    'comment',
  ];
  const attribute = fc.oneof(
    anything,
    fc.dictionary(fc.constantFrom(...names), anything).map((over) => attributeOf(1, over as JsonObject)),
    fc
      .constantFrom('ip-dst|port', 'domain|ip', 'malware-sample', 'regkey|value', 'yara')
      .map((type) => attributeOf(1, { type })),
  );
  const event = fc.tuple(
    fc.array(attribute, { maxLength: 8 }),
    fc.dictionary(fc.constantFrom('Tag', 'Orgc', 'info', 'Object', 'Galaxy'), anything),
  );
  fc.assert(
    fc.property(event, ([attributes, over]) => {
      const { Object: _, ...others } = over;
      const leftOut = new LeftOut();
      const read = readEvent(eventOf(1, attributes, others as JsonObject), null, 'only', leftOut);
      for (const { row } of read.found) normalise(row, definitionOf('misp'), NOW);
      const deleted = attributes.filter((one) => isJsonObject(one) && isTrue(one['deleted'])).length;
      const counted = leftOut.notes('').reduce((sum, { detail }) => sum + Number(detail.split(' ')[0]), 0);
      const withRows = new Set(read.found.map(({ attribute: one }) => attributes.indexOf(one))).size;
      return withRows + read.rejected.length + counted + deleted === attributes.length;
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(anything, (objects) => {
      readEvent(eventOf(1, [], { Object: objects }), null, 'all', new LeftOut());
      return true;
    }),
  );
});

t.test('an event of ten thousand levels costs itself only', async (t) => {
  const { misp, bench, add } = await openMisp(t);
  add(eventOf(1, [attributeOf(1)]));
  add(eventOf(2, [attributeOf(2)]));
  misp.faults.set(`/feed/${fileOf(1)}`, { status: 200, body: `{"Event":${'['.repeat(10_000)}${']'.repeat(10_000)}}` });
  const { items, rejected, error } = await pull(mispFeed, bench.context());
  t.same([error, valuesOf(items), rejected.length], [null, ['host-2.example.com'], 1]);
});

/** A gateway on a feed of two events that say one value, and each one of its own. */
async function openServed(t: Test) {
  const clock = scriptedClock(NOW, { auto: true });
  const misp = await startMisp(t);
  const feed = `{ format: misp-feed, url: "${misp.url}/feed", internal: true, per_minute: 100000 }`;
  const gateway = await openGateway(t, t.testdir(), yaml(feed), { clock });
  const add = (event: JsonObject): void => void misp.events.set(String(event['uuid']), event);
  const both = attributeOf(9, { value: 'both.example.com' });
  add(eventOf(1, [attributeOf(1), attributeOf(2), both]));
  add(eventOf(2, [attributeOf(3), { ...both, uuid: uuidOf('other') }]));
  t.match(await gateway.side.poll('misp'), { outcome: 'whole', error: null });
  const living = async (): Promise<string[]> => {
    const last = new Map((await readAll(gateway, 'all')).map((object) => [object['id'], object]));
    const alive = [...last.values()].filter(({ type, revoked }) => type === 'indicator' && revoked !== true);
    return alive.map(({ name }) => String(name)).sort();
  };
  t.same(await living(), ['both.example.com', 'host-1.example.com', 'host-2.example.com', 'host-3.example.com']);
  const poll = async () => {
    await clock.advance(1000);
    return gateway.side.poll('misp');
  };
  const pollLater = async (): Promise<void> => void t.match(await poll(), { outcome: 'whole', error: null });
  return { misp, add, both, living, poll, pollLater };
}

t.test('a manifest that did not change is a good poll, unless an event is yet to be read', async (t) => {
  const { misp, add, poll } = await openServed(t);
  t.match(await poll(), { outcome: 'unchanged', requests: 1 });
  add(eventOf(3, [attributeOf(5)]));
  misp.faults.set(`/feed/${fileOf(3)}`, { status: 404 });
  t.match(await poll(), { outcome: 'whole', rejected: 1 });
  t.match(await poll(), { outcome: 'whole', requests: 2, rejected: 0 });
  misp.faults.clear();
  t.match(await poll(), { outcome: 'whole', requests: 2, accepted: 1 });
  t.match(await poll(), { outcome: 'whole', requests: 1 });
  t.match(await poll(), { outcome: 'unchanged', requests: 1 });
});

t.test('an attribute that left its event is withdrawn, unless another event says it', async (t) => {
  const { add, living, pollLater } = await openServed(t);
  add(eventOf(1, [attributeOf(1)], { timestamp: String(CHANGED + 50) }));
  await pollLater();
  t.same(await living(), ['both.example.com', 'host-1.example.com', 'host-3.example.com']);
  add(eventOf(2, [attributeOf(3, { to_ids: false }), attributeOf(4)], { timestamp: String(CHANGED + 60) }));
  await pollLater();
  t.same(await living(), ['host-1.example.com', 'host-4.example.com']);
});

t.test('an event that says nothing any more takes back what it said', async (t) => {
  const { add, both, living, pollLater } = await openServed(t);
  const gone = [attributeOf(1), both].map((one) => ({ ...one, deleted: true }));
  add(eventOf(1, gone, { timestamp: String(CHANGED + 50) }));
  await pollLater();
  t.same(await living(), ['both.example.com', 'host-3.example.com']);
  add(eventOf(2, [attributeOf(3)], { timestamp: String(CHANGED + 51), published: false }));
  await pollLater();
  t.same(await living(), []);
});

t.test('an event that left the manifest takes back what it said, and says it again when it comes back', async (t) => {
  const { misp, add, both, living, pollLater } = await openServed(t);
  misp.events.delete(uuidOf('event 1'));
  await pollLater();
  t.same(await living(), ['both.example.com', 'host-3.example.com']);
  add(eventOf(1, [attributeOf(1), attributeOf(2), both]));
  await pollLater();
  t.same(await living(), ['both.example.com', 'host-1.example.com', 'host-2.example.com', 'host-3.example.com']);
});

t.test('a manifest that lost most of its events is not believed', async (t) => {
  const { misp, bench, add } = await openMisp(t);
  for (let n = 0; n < 20; n += 1) add(eventOf(n, [attributeOf(n)]));
  const { cursor } = await pull(mispFeed, bench.context());
  misp.events = new Map([...misp.events].slice(0, 5));
  const { batches } = await pull(mispFeed, bench.context({ cursor }));
  t.match(batches.at(-1), { last: true, ended: [], note: /15 of 20 known events/ });
  for (let n = 5; n < 11; n += 1) add(eventOf(n, [attributeOf(n)]));
  const after = await pull(mispFeed, bench.context({ cursor }));
  t.equal(after.batches.at(-1)?.ended?.length, 9);
  t.equal(after.batches.at(-1)?.note, null);
});

t.test('an event of more rows than a batch holds is read, and its attributes are told apart', async (t) => {
  const { bench, add } = await openMisp(t);
  const attributes = Array.from({ length: 10_001 }, (_, n) => attributeOf(n));
  add(eventOf(1, attributes));
  const { batches, items, cursor } = await pull(mispFeed, bench.context());
  t.same([items.length, new Set(items.map((item) => ('id' in item ? item.id : null))).size], [10_001, 10_001]);
  t.ok(batches.every(({ ended = [] }) => ended.length === 0));
  add(eventOf(1, attributes, { timestamp: String(CHANGED + 50) }));
  const again = await pull(mispFeed, bench.context({ cursor }));
  t.match(again.batches[0]?.ended, [{ id: `report--${uuidOf('event 1')}` }], 'what was said for the event as a whole');
});

t.test('a directory is read file by file, and what is no event costs itself only', async (t) => {
  const event = (n: number): string => JSON.stringify({ Event: eventOf(n, [attributeOf(n)]) });
  const dir = t.testdir({
    drop: {
      'a.json': event(1),
      'b.json': `\ufeff${event(2)}`,
      'c.json': '{"Event": {',
      'd.json': '<html>',
      'e.json': event(1),
    },
  });
  symlinkSync('/nowhere', join(dir, 'drop', 'f.json'));
  const bench = await openFeedBench(t, mispFeed, { path: './drop' }, { base: dir });
  const { items, rejected, cursor, error } = await pull(mispFeed, bench.context());
  t.equal(error, null);
  t.same(valuesOf(items), ['host-1.example.com', 'host-2.example.com']);
  t.same(
    rejected.map(({ row }) => row),
    ['c.json', 'd.json', 'e.json', 'f.json'],
  );
  writeFileSync(join(dir, 'drop', 'b.json'), event(3));
  const second = await pull(mispFeed, bench.context({ cursor }));
  t.same(valuesOf(second.items), ['host-3.example.com']);
  t.match(second.batches.at(-1), { ended: [], note: /4 files can't be read; what 1 events said/ });
  for (const name of ['c', 'd', 'e']) writeFileSync(join(dir, 'drop', `${name}.json`), event(4));
  writeFileSync(join(dir, 'drop', 'd.json'), event(5));
  for (const name of ['e', 'f']) unlinkSync(join(dir, 'drop', `${name}.json`));
  const third = await pull(mispFeed, bench.context({ cursor: second.cursor }));
  t.match(third.batches.at(-1), { ended: [{ id: `report--${uuidOf('event 2')}` }], note: null });
});

t.test('a cursor is bounded, and older events than it holds count as read', async (t) => {
  const uuid = (n: number): string => uuidOf(String(n));
  const known = new KnownEvents(null, 'of');
  t.notOk(known.isResumed);
  for (let n = 1; n <= 6000; n += 1) known.add({ uuid: uuid(n), timestamp: n });
  known.miss(uuid(7));
  const cursor = known.cursor();
  t.ok(cursor.length < 150_000);
  const restored = new KnownEvents(cursor, 'of');
  t.ok(restored.isResumed);
  t.equal(restored.size, 5000);
  for (const n of [1, 1000, 1001, 6000]) t.ok(restored.isRead({ uuid: uuid(n), timestamp: n }), String(n));
  t.notOk(restored.isRead({ uuid: uuid(7), timestamp: 7 }), 'what could not be read is not forgotten');
  t.notOk(restored.isRead({ uuid: uuid(6000), timestamp: 6001 }));
  t.notOk(restored.isRead({ uuid: uuid(1), timestamp: 6001 }));
  t.notOk(new KnownEvents(cursor, 'other').isResumed);
});

// slow (10 s): journals of hundreds of thousands of entries
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Micros } from '../../src/model/clock.ts';
import type { Entry, IndicatorEntry } from '../../src/model/entry.ts';
import { createTurns, eventLoop, MAX_CONNECTIONS_FIRST } from '../../src/model/turns.ts';
import { Connection } from '../../src/store/sqlite/connection.ts';
import { walkPages } from '../../src/store/sqlite/pages.ts';
import { SEGMENT_ENTRIES } from '../../src/store/sqlite/segments.ts';
import { drain, STEP_ENTRIES, STEP_ROWS, STEP_SEGMENTS, type Walk } from '../../src/store/sqlite/walk.ts';
import { appendEntries, entryFilter, indicatorEntry, liveQuery, openJournalStore } from '../helpers/store.ts';

const MOST_ENTRIES = STEP_SEGMENTS * SEGMENT_ENTRIES;
const NOTHING = { last: false, first: false, all: false, exact: [5] };

/** A journal of so many domains whose confidence rises from 0 to 99 over and over, and the walks of a connection to it. */
async function openLong(t: Test, count: number, keepVersions: 'last' | 'all' = 'last') {
  const store = await openJournalStore(t, undefined, keepVersions);
  const entries: IndicatorEntry[] = [];
  for (let from = 0; from < count; from += 20_000) {
    const batch = Array.from({ length: Math.min(20_000, count - from) }, (_, i) =>
      indicatorEntry({ value: `h${from + i}.example`, confidence: (from + i) % 100 }),
    );
    entries.push(...(await store.writer.transaction((tx) => appendEntries(tx, 'pool:main', batch))));
  }
  const connection = Connection.openForReading(join(store.location, 'sluice.db'));
  t.teardown(() => connection.close());
  return { ...store, entries, connection, walks: walkPages(connection) };
}

/** Takes a walk step by step; answers what it says, and how many entries lie between two of its positions at most. */
function take<T>(walk: Walk<T>, entries: readonly Entry[], from: 'oldest' | 'newest' = 'oldest') {
  const positions: Micros[] = [];
  for (;;) {
    const step = walk.next();
    if (!step.done) {
      positions.push(step.value);
      continue;
    }
    const dates = entries.map(({ dateAdded }) => dateAdded);
    let at = from === 'oldest' ? 0 : Number.MAX_SAFE_INTEGER;
    let longest = 0;
    for (const end of positions) {
      const [low, high] = [Math.min(at, end), Math.max(at, end)];
      longest = Math.max(longest, dates.filter((date) => date > low && date <= high).length);
      at = end;
    }
    return { said: step.value, steps: positions.length + 1, longest };
  }
}

t.test('what matches nothing passes over a journal in steps of bounded length, and says the same', async (t) => {
  const { entries, walks } = await openLong(t, 70_000);
  const none = liveQuery({ minConfidence: 100, maxConfidence: 100 });
  const filter = entryFilter({ versions: NOTHING });
  const taken = {
    page: take(walks.page({ ...filter, after: 0, limit: 10 }), entries),
    newest: take(walks.newest(filter), entries, 'newest'),
    live: take(walks.live(none), entries, 'newest'),
    count: take(walks.countMatching(none), entries, 'newest'),
  };
  for (const [name, { steps, longest }] of Object.entries(taken)) {
    t.equal(steps, Math.ceil(70_000 / MOST_ENTRIES), name);
    t.ok(longest <= MOST_ENTRIES, `${name}: ${longest} entries in a step`);
  }
  t.match(taken.page.said, { entries: [], more: false });
  t.equal(taken.newest.said, null);
  t.strictSame(taken.live.said, { entries: [], more: false });
  t.equal(taken.count.said, 0);
});

t.test('a walk finds everything that matches, from both ends, behind any offset', async (t) => {
  const { entries, walks } = await openLong(t, 70_000);
  const matching = entries.filter(({ confidence }) => confidence === 42).reverse();
  const query = { minConfidence: 42, maxConfidence: 42 };
  for (const [offset, limit] of [
    [0, 1000],
    [0, 10],
    [300, 100],
    [327, 2],
    [328, 1],
    [690, 10],
    [690, 11],
    [700, 5],
    [1000, 5],
  ] as const) {
    const name = `${limit} behind ${offset}`;
    const found = take(walks.live(liveQuery({ ...query, offset, limit })), entries, 'newest');
    t.strictSame(found.said, { entries: matching.slice(offset, offset + limit), more: offset + limit < 700 }, name);
    t.ok(found.longest <= MOST_ENTRIES, name);
    const counted = drain(walks.countMatching(liveQuery({ ...query, offset, limit })));
    t.equal(counted, Math.max(0, Math.min(limit, 700 - offset)), `${name}, counted`);
  }
  const far = take(walks.live(liveQuery({ offset: 69_990, limit: 20 })), entries, 'newest');
  t.strictSame(far.said, { entries: entries.slice(0, 10).reverse(), more: false }, 'behind a long offset');
  t.ok(far.steps > 1 && far.longest <= MOST_ENTRIES);
  const exact = entries.filter((_, i) => i % 20_000 === 7).map(({ version }) => version);
  const versions = { ...NOTHING, exact };
  const page = drain(walks.page({ ...entryFilter({ versions }), after: 0, limit: 100_000 }));
  t.strictSame(
    page.entries,
    entries.filter(({ version }) => exact.includes(version)),
    'by version',
  );
});

t.test('a long page is read in steps of bounded length; one of the standard size in one', async (t) => {
  const { entries, walks, reader } = await openLong(t, 6000, 'all');
  const last = take(walks.page({ ...entryFilter(), after: 0, limit: 5000 }), entries);
  t.equal(last.steps, Math.ceil(5001 / STEP_ROWS));
  t.strictSame(last.said.entries, entries.slice(0, 5000));
  t.equal(last.said.more, true);
  t.equal(take(walks.page({ ...entryFilter(), after: 0, limit: 1000 }), entries).steps, 1);
  const first = { last: false, first: true, all: false, exact: [] };
  const judged = take(walks.page({ ...entryFilter({ versions: first }), after: 0, limit: 6000 }), entries);
  t.strictSame(judged.said.entries, entries);
  t.ok(judged.longest <= STEP_ENTRIES, `each is judged by others: ${judged.longest} in a step`);
  const { validity } = last.said;
  const until = entries[4999]?.dateAdded as Micros;
  t.strictSame(await reader.validity('pool:main', 0, until), validity, 'its validity is that of what it covers');
});

t.test(
  'a page whose beginning changes while it is read is never taken for right; other changes are in it',
  async (t) => {
    const { entries, walks, reader, writer } = await openLong(t, 6000);
    const supersede = (entry: Entry | undefined) =>
      writer.transaction((tx) => appendEntries(tx, 'pool:main', [entry as Entry], [entry?.dateAdded as Micros]));
    const read = async (limit: number, changed: Entry | undefined) => {
      const walk = walks.page({ ...entryFilter(), after: 0, limit });
      t.notOk(walk.next().done);
      await supersede(changed);
      return drain(walk);
    };
    const torn = [await read(4500, entries[10]), await read(4500, entries[11])];
    const [one, other] = torn.map(({ validity }) => validity.changes);
    t.ok((one as number) < 0 && (other as number) < 0 && one !== other, 'like no other page');
    for (const { validity, entries: held } of torn) {
      const now = await reader.validity('pool:main', 0, held.at(-1)?.dateAdded as Micros);
      t.not(now.changes, validity.changes);
    }
    const ahead = await read(4500, entries[4300]);
    const until = ahead.entries.at(-1)?.dateAdded as Micros;
    t.strictSame(await reader.validity('pool:main', 0, until), ahead.validity, 'what changed ahead of it');
    t.notOk(ahead.entries.some(({ dateAdded }) => dateAdded === entries[4300]?.dateAdded));
    const whole = await read(10_000, entries[5990]);
    t.equal(whole.entries.length, 6000);
    t.strictSame(await reader.validity('pool:main', 0, null), whole.validity, 'to the head, the new one in it');
  },
);

t.test('walks of many readers take one step in a turn of the event loop, in turn', async (t) => {
  const { reader } = await openLong(t, 70_000);
  const query = liveQuery({ minConfidence: 100, maxConfidence: 100 });
  let turns = 0;
  let isOver = false;
  const tick = (): void => {
    turns += 1;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await Promise.all(Array.from({ length: 20 }, () => reader.live(query)));
  isOver = true;
  // The first step of each is taken when it is asked for.
  t.ok(turns >= 20 * (Math.ceil(70_000 / MOST_ENTRIES) - 1), `${turns} turns`);
  t.equal(eventLoop.waiting, 0);
});

t.test('pieces wait in the order they came, one in each turn', async (t) => {
  const loop = createTurns();
  const log: string[] = [];
  let turn = 0;
  const tick = (): void => {
    turn += 1;
    if (turn < 10) setImmediate(tick);
  };
  setImmediate(tick);
  const work = async (name: string) => {
    await loop.next();
    log.push(`${name}${turn}`);
    await loop.next();
    log.push(`${name}${turn}`);
  };
  const all = Promise.all([work('a'), work('b'), work('c')]);
  t.equal(loop.waiting, 3);
  await all;
  t.strictSame(log, ['a1', 'b2', 'c3', 'a4', 'b5', 'c6']);
  t.equal(loop.waiting, 0);
});

t.test('new connections are let by before the next piece, but no more of them than are allowed', async (t) => {
  const loop = createTurns();
  let turn = 0;
  let arriving = 0;
  const tick = (): void => {
    turn += 1;
    if (turn <= arriving) loop.connectionArrived();
    if (turn < 1000) setImmediate(tick);
  };
  const turnsOf = async (connections: number): Promise<number> => {
    turn = 0;
    arriving = connections;
    setImmediate(tick);
    await new Promise(setImmediate);
    const before = turn;
    await loop.next();
    const taken = turn - before;
    turn = 1000;
    await new Promise(setImmediate);
    return taken;
  };
  const idle = await turnsOf(0);
  t.equal((await turnsOf(6)) - idle, 5, 'it waits until none comes any more');
  t.equal((await turnsOf(500)) - idle, MAX_CONNECTIONS_FIRST, 'and not for ever');
});

import t from 'tap';
import { findBounds, type LivePage, readBetween, readLive, SLICE } from '../../routes/v1/live.ts';
import type { LiveQuery, Reader } from '../../src/store/store.ts';
import { collection } from '../helpers/app.ts';
import { indicatorEntry, START } from '../helpers/store.ts';

/** A journal without end: as many live entries as are asked for, a microsecond apart. */
function endless(): { reader: Reader; queries: LiveQuery[] } {
  const queries: LiveQuery[] = [];
  const live: Reader['live'] = async (query) => {
    queries.push(query);
    const newest = (query.before ?? START) - 1 - query.offset;
    const entries = Array.from({ length: query.limit }, (_, i) => indicatorEntry({ dateAdded: newest - i }));
    return { entries, more: true };
  };
  return { reader: { live } as unknown as Reader, queries };
}

const page = (changes: Partial<LivePage>): LivePage => ({
  collection: collection('all'),
  types: null,
  confidence: null,
  category: null,
  since: null,
  before: null,
  offset: 0,
  limit: 100,
  ...changes,
});

t.test('a filter without an index reads a bounded number of rows, and its page has a cursor to go on', async (t) => {
  const { reader, queries } = endless();
  const bounds = await findBounds(reader, page({ category: 'nobody' }));
  const examined = queries.reduce((sum, { limit }) => sum + limit, 0);
  t.ok(examined >= 200_000 && examined <= 200_000 + SLICE, `${examined} rows`);
  t.strictSame(bounds, { newest: null, oldest: null, count: 0, leftOut: 0, next: START - examined, entries: [] });
  t.ok(queries.every(({ limit, offset }) => limit === SLICE && offset === 0));
});

t.test('a page is read in slices, each from the end of the one before it', async (t) => {
  const { reader, queries } = endless();
  const dates: number[] = [];
  for await (const { entries, more } of readLive(reader, page({ offset: 7, limit: SLICE * 2 + 1 }))) {
    t.ok(more);
    dates.push(...entries.map(({ dateAdded }) => dateAdded));
  }
  t.strictSame(
    dates,
    Array.from({ length: SLICE * 2 + 1 }, (_, i) => START - 8 - i),
  );
  t.strictSame(
    queries.map(({ limit, offset, before }) => ({ limit, offset, before })),
    [
      { limit: SLICE, offset: 7, before: null },
      { limit: SLICE, offset: 0, before: START - 7 - SLICE },
      { limit: 1, offset: 0, before: START - 7 - 2 * SLICE },
    ],
  );
});

t.test('a page of one slice is read once, a longer one again while it is written', async (t) => {
  for (const [limit, reads] of [
    [100, 1],
    [SLICE, 1],
    [SLICE + 1, 4],
  ] as const) {
    const { reader, queries } = endless();
    const asked = page({ limit });
    const bounds = await findBounds(reader, asked);
    const dates: number[] = [];
    for await (const entries of readBetween(reader, asked, bounds)) dates.push(...entries.map((e) => e.dateAdded));
    t.strictSame(
      dates,
      Array.from({ length: limit }, (_, i) => START - 1 - i),
    );
    t.equal(queries.length, reads, `${limit} rows`);
  }
  const { reader, queries } = endless();
  const rare = page({ category: 'none' });
  const bounds = await findBounds(reader, rare);
  const before = queries.length;
  for await (const _ of readBetween(reader, rare, bounds)) t.fail('there is nothing');
  t.equal(queries.length, before, 'what was hard to find is not looked for again');
});

t.test('a filter that nothing can match reads nothing', async (t) => {
  const { reader, queries } = endless();
  t.match(await findBounds(reader, page({ types: [] })), { count: 0, next: null });
  t.equal(queries.length, 0);
});

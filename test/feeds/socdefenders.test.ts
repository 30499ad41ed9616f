// slow (22 s): simulated weeks of polls
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { BATCH_ROWS, type FeedBatch, type FeedItem, type FeedRow } from '../../src/feeds/feed.ts';
import { socdefenders } from '../../src/feeds/socdefenders.ts';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { errorText, type GatewayError } from '../../src/model/error.ts';
import { Secret } from '../../src/model/secret.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { codeOf, openFeedBench, pull } from '../helpers/feed.ts';
import { START } from '../helpers/store.ts';
import {
  fullRow,
  shortRow,
  startUpstream,
  UPSTREAM_KEY,
  type UpstreamOptions,
  type UpstreamRow,
} from '../helpers/upstream.ts';

const MINUTE = 60 * MICROS_PER_SECOND;
const HOUR = 60 * MINUTE;

/** `count` rows, evenly over the time from `from` to `to`. */
function rowsBetween(count: number, from: Micros, to: Micros, first = 0): UpstreamRow[] {
  return Array.from({ length: count }, (_, i) => fullRow(first + i, Math.floor(from + ((to - from) * i) / count)));
}

async function openSoc(t: Test, upstreamOptions: UpstreamOptions = {}, options: object = {}) {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startUpstream(t, { clock, ...upstreamOptions });
  const all = { plan: 'pro', key: new Secret(UPSTREAM_KEY), url: upstream.url, page_size: 100, ...options };
  const bench = await openFeedBench(t, socdefenders, all, { clock });
  return { clock, upstream, bench };
}

const valuesOf = (items: readonly FeedItem[]): Set<unknown> => new Set(items.map((item) => (item as FeedRow).value));
const gapsOf = ({ batches }: { batches: FeedBatch[] }) => batches.flatMap(({ gap }) => gap ?? []);
const asked = (requests: { url: URL }[], name: string): string[] =>
  requests.map(({ url }) => url.searchParams.get(name) ?? '');

t.test('both documented shapes of a row are read; only type and value are required', async (t) => {
  const { upstream, bench } = await openSoc(t);
  const at = START - HOUR;
  upstream.rows = [
    fullRow(1, at),
    shortRow(2, at + 1000),
    { updated: at + 2000, row: { type: 'cve', value: 'CVE-2026-1', unknown: { more: 1 }, source: null, tags: null } },
  ];
  const { items } = await pull(socdefenders, bench.context());
  const id = '00000000-0000-4000-8000-000000000001';
  const url = 'https://news.example/articles/1';
  t.same(
    items.find((item) => (item as FeedRow).id === id),
    {
      value: 'host-1.example.com',
      type: 'domain',
      confidence: 'high',
      firstSeen: formatMillis(at - MICROS_PER_DAY),
      lastSeen: formatMillis(at),
      id,
      description: 'Seen in campaign 1.',
      labels: ['phishing', 'group-1'],
      techniques: ['T1566.001'],
      references: [{ source_name: 'Example News', description: 'Campaign 1', url }],
      source: {
        article_id: id,
        article_title: 'Campaign 1',
        article_url: url,
        feed_name: 'Example News',
        category: 'community',
        origin: 'article',
      },
    },
  );
  t.same(valuesOf(items), new Set(['host-1.example.com', '198.51.0.2', 'CVE-2026-1']));
});

t.test('a row that is no object is rejected and shown', async (t) => {
  const { upstream, bench } = await openSoc(t);
  upstream.rows = [null, 'text', 7, ['list'], {}].map((row, i) => ({ updated: START - HOUR + i, row }));
  const { items, rejected } = await pull(socdefenders, bench.context());
  t.equal(items.length, 1, 'an empty object is for the normaliser to refuse');
  t.same(rejected.map(({ reason, row }) => `${reason} ${row}`).sort(), [
    'not-an-object 7',
    'not-an-object ["list"]',
    'not-an-object null',
    'not-an-object text',
  ]);
});

t.test('a row that is nested too deeply is rejected alone', async (t) => {
  const { upstream, bench } = await openSoc(t);
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const rows = [
    `{"type":"domain","value":"a.example","source":${deep}}`,
    deep,
    '{"type":"domain","value":"b.example"}',
  ];
  upstream.faults = [(_, reply) => void reply.end(`{"data":[${rows.join(',')}]}`)];
  const { items, rejected, error } = await pull(socdefenders, bench.context());
  t.equal(error, null);
  t.strictSame([items.length, rejected.length], [2, 1]);
});

t.test('the key travels as a Bearer header and never in an address', async (t) => {
  const { upstream, bench } = await openSoc(t);
  upstream.rows = rowsBetween(250, START - HOUR, START);
  await pull(socdefenders, bench.context());
  t.ok(upstream.requests.length >= 3);
  for (const { url, authorization } of upstream.requests) {
    t.equal(authorization, `Bearer ${UPSTREAM_KEY}`);
    t.notMatch(url.href, UPSTREAM_KEY);
  }
});

t.test('a window that would need deep offsets is split, and read oldest first', async (t) => {
  const { upstream, bench } = await openSoc(t);
  upstream.rows = rowsBetween(5000, START - 20 * MICROS_PER_DAY, START);
  const { items, batches } = await pull(socdefenders, bench.context());
  t.equal(valuesOf(items).size, 5000);
  t.ok(asked(upstream.requests, 'offset').every((offset) => Number(offset) <= 1100));
  t.ok(upstream.requests.length <= 75, `${upstream.requests.length} requests for 50 pages`);
  const cursors = batches.flatMap(({ cursor }) => (cursor === null ? [] : [cursor]));
  t.ok(cursors.length >= 4, 'every finished window is kept');
  t.same(cursors, [...cursors].sort(), 'and the bookmark only moves on');
});

t.test('an interrupted pull goes on behind the last finished window', async (t) => {
  const { upstream, bench } = await openSoc(t);
  upstream.rows = rowsBetween(5000, START - 20 * MICROS_PER_DAY, START);
  upstream.onRequest = () => {
    if (upstream.requests.length === 40) upstream.down = { status: 500 };
  };
  const first = await pull(socdefenders, bench.context());
  t.equal(codeOf(first.error), 'upstream-failed');
  t.ok(valuesOf(first.items).size < 5000);
  upstream.onRequest = null;
  upstream.down = null;
  const sent = upstream.requests.length;
  const second = await pull(socdefenders, bench.context({ cursor: first.cursor }));
  t.equal(second.error, null);
  t.equal(valuesOf([...first.items, ...second.items]).size, 5000, 'no row is missing');
  t.ok(upstream.requests.length - sent < 45, 'and what was finished is not asked for again');
});

t.test('every row arrives, whatever order, totals and page sizes the upstream has', async (t) => {
  const variants = fc.record({
    order: fc.constantFrom('newest', 'oldest') as fc.Arbitrary<'newest' | 'oldest'>,
    total: fc.constantFrom('right', 'absent', 'everything', 'page') as fc.Arbitrary<
      'right' | 'absent' | 'everything' | 'page'
    >,
    maxLimit: fc.constantFrom(100, 37, 1),
    count: fc.constantFrom(0, 1, 36, 37, 99, 100, 101, 199, 200, 1100, 1101, 1500),
    spread: fc.constantFrom(HOUR, 25 * MICROS_PER_DAY, 5 * MICROS_PER_SECOND),
  });
  const { upstream, bench } = await openSoc(t, {}, { per_minute: 1_000_000, per_day: 10_000_000 });
  await fc.assert(
    fc.asyncProperty(variants, async ({ count, spread, ...variant }) => {
      Object.assign(upstream.options, variant);
      const rows = variant.maxLimit === 1 ? Math.min(count, 50) : count;
      upstream.rows = rowsBetween(rows, START - spread, START - MICROS_PER_SECOND);
      const { items, rejected, error } = await pull(socdefenders, bench.context());
      if (error !== null) throw error;
      return valuesOf(items).size === rows && rejected.length === 0;
    }),
    { numRuns: 40, endOnFailure: true },
  );
  t.pass('in 40 combinations');
});

t.test('meta and links are optional', async (t) => {
  const { upstream, bench } = await openSoc(t, { meta: false });
  upstream.rows = rowsBetween(1730, START - 9 * HOUR, START);
  const { items, batches } = await pull(socdefenders, bench.context());
  t.equal(valuesOf(items).size, 1730);
  t.equal(batches.at(-1)?.last, true);
});

t.test('rows that move while they are read are not lost', async (t) => {
  const { upstream, bench, clock } = await openSoc(t, {}, { per_minute: 1_000_000, per_day: 10_000_000 });
  const orders = fc.constantFrom('newest', 'oldest') as fc.Arbitrary<'newest' | 'oldest'>;
  const moves = fc.array(fc.array(fc.nat(2399), { maxLength: 10 }), { minLength: 60, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(orders, moves, fc.boolean(), async (order, moves, hasTotal) => {
      Object.assign(upstream.options, { order, total: hasTotal ? 'right' : 'absent' });
      const begun = clock.now();
      upstream.rows = rowsBetween(2400, begun - 10 * HOUR, begun - HOUR);
      upstream.requests.length = 0;
      // Between two requests some rows are updated, and one is new.
      upstream.onRequest = () => {
        const step = upstream.requests.length - 1;
        clock.set(clock.now() + 50 * MICROS_PER_MS);
        for (const n of moves[step] ?? []) {
          const row = upstream.rows[n];
          if (row !== undefined) row.updated = clock.now();
        }
        if (step < 30) upstream.rows.push(fullRow(10_000 + step, clock.now()));
      };
      const first = await pull(socdefenders, bench.context());
      if (first.error !== null) throw first.error;
      upstream.onRequest = null;
      const second = await pull(socdefenders, bench.context({ cursor: first.cursor }));
      const seen = valuesOf([...first.items, ...second.items]);
      return upstream.rows.every(({ row }) => seen.has((row as { value: string }).value));
    }),
    { numRuns: 12, endOnFailure: true },
  );
  t.pass('in twelve walks');
});

t.test('a list in no order at all is read in windows that fit one page', async (t) => {
  const { upstream, bench } = await openSoc(t, { order: 'shuffled' }, { per_minute: 1_000_000, per_day: 10_000_000 });
  upstream.rows = rowsBetween(900, START - 9 * HOUR, START);
  for (let walks = 0; walks < 20; walks += 1) {
    const { items, error } = await pull(socdefenders, bench.context());
    t.equal(error, null);
    t.equal(valuesOf(items).size, 900);
  }
});

t.test('rows of one instant are read by deeper offsets; rows beyond them are reported as not served', async (t) => {
  const { upstream, bench } = await openSoc(t, {}, { page_size: 1000 });
  upstream.rows = Array.from({ length: 3000 }, (_, n) => fullRow(n, START - HOUR));
  const reachable = await pull(socdefenders, bench.context());
  t.equal(valuesOf(reachable.items).size, 3000);
  t.equal(reachable.rejected.length, 0);

  upstream.rows = Array.from({ length: 12_000 }, (_, n) => fullRow(n, START - HOUR));
  const beyond = await pull(socdefenders, bench.context());
  t.equal(beyond.error, null, 'the feed goes on');
  t.equal(beyond.batches.at(-1)?.last, true);
  t.ok(valuesOf(beyond.items).size >= 10_000);
  t.match(beyond.rejected[0], { reason: 'not-served', detail: /12000/, row: /2025-12-31T2[23]/ });
});

t.test('an upstream that ignores the time is read in a bounded number of requests', async (t) => {
  const { upstream, bench } = await openSoc(t, { timeFilter: false, total: 'everything' });
  upstream.rows = rowsBetween(4000, START - 5 * MICROS_PER_DAY, START);
  const { items, error } = await pull(socdefenders, bench.context());
  t.equal(error, null);
  t.equal(valuesOf(items).size, 4000);
  t.ok(upstream.requests.length < 120, `${upstream.requests.length} requests for 40 pages`);
});

t.test('an upstream that ignores the limit fills several batches', async (t) => {
  const { upstream, bench } = await openSoc(t, { pageSize: BATCH_ROWS + 5000 });
  upstream.rows = rowsBetween(BATCH_ROWS + 5000, START - HOUR, START);
  const { items, batches } = await pull(socdefenders, bench.context());
  t.equal(valuesOf(items).size, BATCH_ROWS + 5000);
  t.ok(batches.every(({ items }) => items.length <= BATCH_ROWS));
});

t.test('the first pull begins at the limit of the plan’s look-back', async (t) => {
  for (const [options, days] of [
    [{ plan: 'free' }, 1],
    [{ plan: 'pro' }, 30],
    [{ plan: 'pro', lookback_days: 365 }, 365],
  ] as const) {
    const { upstream, bench } = await openSoc(t, {}, options);
    await pull(socdefenders, bench.context());
    t.equal(asked(upstream.requests, 'since')[0], formatMillis(START - days * MICROS_PER_DAY + MINUTE));
  }
});

t.test('the next pull begins a little before the earliest clock of this one', async (t) => {
  for (const [name, skew] of [
    ['the upstream is ahead', 2 * HOUR],
    ['the upstream is behind', -2 * HOUR],
  ] as const) {
    const theirs = { ...scriptedClock(START), now: () => START + skew };
    const { upstream, bench } = await openSoc(t, { clock: theirs });
    const { cursor } = await pull(socdefenders, bench.context());
    await pull(socdefenders, bench.context({ cursor }));
    const expected = formatMillis(START + Math.min(0, skew) - 5 * MINUTE);
    t.equal(asked(upstream.requests, 'since').at(-1), expected, name);
  }
});

t.test('an outage longer than the look-back is reported as a gap, once, when the upstream answers again', async (t) => {
  const { upstream, bench, clock } = await openSoc(t);
  const { cursor } = await pull(socdefenders, bench.context());
  clock.set(START + 40 * MICROS_PER_DAY);
  upstream.rows = [fullRow(1, clock.now() - HOUR)];
  upstream.down = { status: 503 };
  const down = await pull(socdefenders, bench.context({ cursor }));
  t.same(gapsOf(down), [], 'not yet: it may come back in time for a plan that looks further');
  t.equal(down.cursor, cursor);
  upstream.down = null;
  const back = await pull(socdefenders, bench.context({ cursor }));
  t.same(
    gapsOf(back).map(({ from, to }) => [formatMillis(from).slice(0, 16), formatMillis(to).slice(0, 14)]),
    [['2025-12-31T23:55', '2026-01-11T00:']],
  );
  t.equal(valuesOf(back.items).size, 1);
  const after = await pull(socdefenders, bench.context({ cursor: back.batches[0]?.cursor ?? null }));
  t.same(gapsOf(after), [], 'the gap commits with the bookmark behind it');
});

t.test('a filter is sent upstream, and a changed filter begins anew', async (t) => {
  const { upstream, bench, clock } = await openSoc(t, {}, { filter: { type: 'domain', category: 'community' } });
  upstream.rows = [fullRow(1, START - HOUR), shortRow(2, START - HOUR)];
  const { items, cursor } = await pull(socdefenders, bench.context());
  t.same(valuesOf(items), new Set(['host-1.example.com']));
  t.same(asked(upstream.requests, 'category'), ['community']);
  const options = { plan: 'pro', key: new Secret(UPSTREAM_KEY), url: upstream.url, filter: { type: 'ipv4' } };
  const other = await openFeedBench(t, socdefenders, options, { clock, writer: bench.writer });
  const changed = await pull(socdefenders, other.context({ cursor }));
  t.same(valuesOf(changed.items), new Set(['198.51.0.2']), 'what the old filter left out is not skipped');
});

t.test('each refusal says what to do, and its message never holds the key', async (t) => {
  const { upstream, bench } = await openSoc(t, { plan: 'free', expiredKey: 'sk_live_expired' });
  const openWith = (key: string) =>
    openFeedBench(t, socdefenders, { key: new Secret(key), url: upstream.url }, { writer: bench.writer });
  const errorOf = async (key: string): Promise<unknown> =>
    (await pull(socdefenders, (await openWith(key)).context())).error;

  const cases: [unknown, string, RegExp][] = [
    [await errorOf('sk_live_expired'), 'upstream-unauthorized', /expired.*make a new one/],
    [await errorOf('sk_live_other'), 'upstream-unauthorized', /does not know the key/],
  ];
  upstream.faults.push({ status: 401, body: '{"error":{"code":"missing_api_key"}}' });
  cases.push([await errorOf(UPSTREAM_KEY), 'upstream-unauthorized', /got no key/]);
  upstream.faults.push({ status: 401, body: `<html>${UPSTREAM_KEY}` });
  cases.push([await errorOf(UPSTREAM_KEY), 'upstream-unauthorized', /refused the key/]);
  upstream.faults.push({ status: 403, body: '{"error":{"code":"plan_required"}}' });
  cases.push([await errorOf(UPSTREAM_KEY), 'upstream-forbidden', /plan/]);
  for (const body of ['[]', '{"data":{}}', '{"rows":[]}', 'null']) {
    upstream.faults.push({ status: 200, body });
    cases.push([await errorOf(UPSTREAM_KEY), 'upstream-malformed', /without a data list/]);
  }
  upstream.faults.push('html');
  cases.push([await errorOf(UPSTREAM_KEY), 'upstream-malformed', /<!doctype html>/]);
  upstream.faults.push({ status: 404 });
  cases.push([await errorOf(UPSTREAM_KEY), 'upstream-failed', /404/]);
  for (const [error, code, message] of cases) {
    t.equal(codeOf(error), code);
    t.match(errorText(error as GatewayError), message);
    t.notMatch(`${(error as Error).stack} ${JSON.stringify(error)} ${(error as Error).cause}`, /sk_live/);
  }
});

t.test('a day on the free plan, with restarts, stays within its limits', async (t) => {
  const clock = scriptedClock(START + 17 * MINUTE, { auto: true });
  const upstream = await startUpstream(t, { clock, plan: 'free', limits: { minute: 10, day: 1000 } });
  const options = { plan: 'free', key: new Secret(UPSTREAM_KEY), url: upstream.url };
  const bench = await openFeedBench(t, socdefenders, options, { clock });
  let cursor: string | null = null;
  let wholes = 0;
  const seen = new Set<unknown>();
  for (let polls = 0; polls < 96; polls += 1) {
    const due = clock.now() + 15 * MINUTE;
    // About 600 new rows between two polls: seven pages, so 700 requests a day.
    upstream.rows = upstream.rows.filter(({ updated }) => updated > clock.now() - 2 * HOUR);
    upstream.rows.push(...rowsBetween(600, clock.now() - 15 * MINUTE, clock.now(), polls * 600));
    // Every poll has a new fetcher, as after a restart: only the store knows what was spent.
    const result = await pull(socdefenders, bench.context({ cursor }));
    cursor = result.cursor;
    for (const value of valuesOf(result.items)) seen.add(value);
    if (result.error === null) wholes += 1;
    else t.equal(codeOf(result.error), 'budget-exhausted');
    clock.set(Math.max(due, clock.now()));
  }
  t.same(
    upstream.requests.filter(({ status }) => status !== 200),
    [],
  );
  t.ok(upstream.requests.length > 600, `${upstream.requests.length} requests`);
  t.equal(wholes, 96, 'and every poll is whole');
  t.equal(seen.size, 96 * 600, 'with every row');
});

t.test('a cursor that lies in the future begins anew, and a page from the far future makes none', async (t) => {
  const { upstream, bench } = await openSoc(t);
  upstream.rows = rowsBetween(30, START - HOUR, START - MINUTE);
  const first = await pull(socdefenders, bench.context());
  const frozen = first.cursor?.replace(/"since":"[^"]+"/, '"since":"9999-01-01T00:00:00.000Z"') ?? null;
  const healed = await pull(socdefenders, bench.context({ cursor: frozen }));
  t.equal(healed.error, null);
  t.equal(valuesOf(healed.items).size, 30);
  t.match(healed.batches.at(-1)?.note, /^The bookmark 9999-01-01T00:00:00\.000Z lay ahead of our clock/);
  t.equal(healed.cursor, first.cursor, 'as if it had never been');
  const after = await pull(socdefenders, bench.context({ cursor: healed.cursor }));
  t.equal(after.batches.at(-1)?.note, null);

  upstream.rows = rowsBetween(2500, START - 20 * MICROS_PER_DAY, START - MINUTE);
  upstream.onRequest = () => {
    upstream.down = (_, reply) => {
      reply.setHeader('date', 'Fri, 31 Dec 9999 23:59:59 GMT');
      upstream.down = null;
      upstream.onRequest = null;
      reply.writeHead(200, { 'content-type': 'application/json' });
      const data = upstream.rows.slice(-100).map(({ row }) => row);
      reply.end(JSON.stringify({ meta: { total: 2500, limit: 100 }, data }));
    };
  };
  const { batches, items } = await pull(socdefenders, bench.context());
  t.equal(valuesOf(items).size, 2500);
  const ahead = formatMillis(START + 2 * MICROS_PER_DAY);
  t.ok(batches.every(({ cursor }) => cursor === null || JSON.parse(cursor).since < ahead));
});

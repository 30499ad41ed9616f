// slow (23 s): simulated days of polls
import t from 'tap';
import type { ConfiguredFeed } from '../../src/feeds/feed.ts';
import { refreshOverdue } from '../../src/ingest/refresh.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import type { AccountState, FeedState } from '../../src/model/state.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import type { ResolveAll } from '../../src/upstream/dispatcher.ts';
import { scriptedClock, seededRandom, settled, steppedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { openTemporaryStore, START } from '../helpers/store.ts';
import { fullRow, shortRow, startUpstream, UPSTREAM_KEY } from '../helpers/upstream.ts';

// Days of requests, each of them real.
t.setTimeout(900_000);

const MINUTE = 60 * MICROS_PER_SECOND;
const HOUR = 60 * MINUTE;
const READERS = 10;
const PER_MINUTE = 10;
const PER_DAY = 1000;

const loopback: ResolveAll = (_, callback) => setImmediate(() => callback(null, [{ address: '127.0.0.1', family: 4 }]));

/** The most that any stretch of that length holds, wherever it begins. */
function fullest(times: readonly Micros[], length: Micros): number {
  let first = 0;
  return times.reduce((most, at, i) => {
    while ((times[first] ?? at) <= at - length) first += 1;
    return Math.max(most, i - first + 1);
  }, 0);
}

t.test(
  'a day and more on the free plan: restarts, two feeds on one key, ten readers, and the quota holds',
  async (t) => {
    const random = seededRandom(7);
    // Not at midnight: the upstream's days and ours must not fall together by chance.
    const start = START + 17 * HOUR + 1234567;
    const end = start + 26 * HOUR;
    const clock = steppedClock(start);
    const upstream = await startUpstream(t, {
      plan: 'free',
      limits: { minute: PER_MINUTE, day: PER_DAY },
      clock: { ...clock, now: clock.truth },
    });
    // More than the quota can fetch: every quarter of an hour all rows are updated, seven pages for each feed.
    upstream.rows = Array.from({ length: 1300 }, (_, n) => (n % 2 === 0 ? fullRow(n, start) : shortRow(n, start)));
    let updatedAt = start;
    const update = (): void => {
      if (clock.truth() - updatedAt < 15 * MINUTE) return;
      updatedAt = clock.truth();
      for (const [n, row] of upstream.rows.entries()) row.updated = updatedAt - n * 1000;
    };
    const dir = t.testdir();
    const { port } = new URL(upstream.url);
    // One key, two of the upstream's host names: one allowance.
    const feed = (host: string, type: string): string =>
      `{ preset: socdefenders, plan: free, url: "http://${host}:${port}", key: { env: SOC_KEY }, internal: true, filter: { type: ${type} } }`;
    const yaml = `
data: ./data
feeds:
  names: ${feed('feed.test', 'domain')}
  addresses: ${feed('www.feed.test', 'ipv4')}
pools: { main: { feeds: [names, addresses] } }
collections: { all: { pool: main }, ips: { pool: main, types: [ipv4] } }
`;
    let reads = 0;
    let lives = 0;
    let caused = 0;
    while (clock.truth() < end) {
      lives += 1;
      const until = Math.min(end, clock.truth() + Math.floor(random() * 5 * HOUR));
      // A life of the process: opened on what the last one left in the store, closed wherever it stands.
      await t.test(`life ${lives}`, async (t) => {
        const gateway = await openGateway(t, dir, yaml, {
          clock,
          env: { SOC_KEY: UPSTREAM_KEY },
          resolveAll: loopback,
        });
        const headers = { authorization: `Bearer ${gateway.key}` };
        const read = async (url: string): Promise<void> => {
          const { statusCode } = await gateway.app.inject({ url, headers });
          if (statusCode !== 200) t.fail(`a reader was answered ${statusCode}`);
          reads += 1;
        };
        gateway.side.start();
        do {
          update();
          await settled(clock, 3);
          if (random() > 0.02) continue;
          const before = upstream.requests.length;
          const urls = ['/api/taxii2/api/collections/all/objects/', '/api/v1/iocs?type=ipv4&collection=ips'];
          await Promise.all(Array.from({ length: READERS }, (_, i) => read(urls[i % 2] ?? '')));
          await settled(clock, 3);
          caused += upstream.requests.length - before;
        } while (clock.wake(until));
        // Every other life ends in the middle of a poll, if there is one.
        if (lives % 2 === 0) await settled(clock, 3);
      });
    }
    const times = upstream.requests.map(({ at }) => at);
    t.ok(lives > 8, `${lives} lives`);
    t.ok(reads > 200, `${reads} reads`);
    t.equal(caused, 0, 'and not one of them caused a request upstream');
    t.equal(
      upstream.requests.filter(({ status }) => status === 429).length,
      0,
      'never too many by the upstream’s count',
    );
    t.ok(fullest(times, MINUTE) <= PER_MINUTE, `${fullest(times, MINUTE)} in the fullest minute, wherever it begins`);
    t.ok(fullest(times, MICROS_PER_DAY) <= PER_DAY, `${fullest(times, MICROS_PER_DAY)} in the fullest day`);
    t.ok(fullest(times, MICROS_PER_DAY) > 0.9 * PER_DAY, 'though there was more to ask for than the quota allows');
    const hosts = new Set(upstream.requests.map(({ headers }) => headers['host']?.split(':')[0]));
    t.strictSame([...hosts].sort(), ['feed.test', 'www.feed.test']);
  },
);

t.test('a poll is brought forward for readers up to each bound, and not beyond it', async (t) => {
  const now = START + MICROS_PER_DAY;
  const { writer } = await openTemporaryStore(t);
  const failing: FeedState = {
    ...(await writer.feedState('soc')),
    succeededAt: now - HOUR - 1,
    attemptedAt: now - 300 * MICROS_PER_SECOND,
    nextPollAt: now + 1,
    failures: 3,
    error: { code: 'upstream-failed', message: '', at: now },
  };
  const limits = { minInterval: 0, windows: [{ seconds: 3600, requests: 10 }] };
  const account = (used: number, more: Partial<AccountState> = {}): AccountState => {
    const windows = used === 0 ? {} : { 3600: { startedAt: now - MINUTE, used, slots: [used] } };
    return { account: 'a', lastRequestAt: null, blockedUntil: null, windows, requests: 0, ...more };
  };
  const isTried = async (state: Partial<FeedState>, spent = account(0), refreshOnRead = true): Promise<boolean> => {
    const polled: string[] = [];
    const configured = {
      definition: { name: 'soc', every: 3_600_000 },
      upstream: { refreshOnRead },
    } as unknown as ConfiguredFeed;
    await refreshOverdue([configured], {
      clock: scriptedClock(now),
      store: { feedState: async () => ({ ...failing, ...state }), account: async () => spent },
      accountOf: () => ({ name: 'a', limits }),
      poll: async (name) => void polled.push(name),
    });
    return polled.length === 1;
  };
  t.equal(await isTried({}), true);
  t.equal(await isTried({}, account(0), false), false, 'its configuration leaves it to the schedule');
  t.equal(await isTried({ error: null }), false, 'it did not fail');
  t.equal(await isTried({ succeededAt: now - HOUR }), false, 'not overdue yet');
  t.equal(await isTried({ succeededAt: null }), true, 'never read at all');
  t.equal(await isTried({ attemptedAt: now - 300 * MICROS_PER_SECOND + 1 }), false, 'tried five minutes ago, almost');
  t.equal(await isTried({ attemptedAt: null }), false);
  t.equal(await isTried({ nextPollAt: now }), false, 'due by the schedule');
  t.equal(await isTried({ nextPollAt: null }), false);
  for (const [code, expected] of [
    ['upstream-failed', true],
    ['upstream-timeout', true],
    ['upstream-rate-limited', true],
    ['budget-exhausted', true],
    ['upstream-forbidden', false],
    ['upstream-malformed', false],
    ['internal', false],
  ] as const) {
    t.equal(await isTried({ error: { code, message: '', at: now } }), expected, code);
  }
  t.equal(await isTried({}, account(4)), true, 'four of ten are spent');
  t.equal(await isTried({}, account(5)), false, 'half of a window is the schedule’s');
  t.equal(await isTried({}, account(0, { blockedUntil: now, blockedAt: now - MINUTE })), true);
  t.equal(await isTried({}, account(0, { blockedUntil: now + 1, blockedAt: now - MINUTE })), false, 'asked to wait');
  const breaker = (openUntil: Micros) => account(0, { breaker: { failures: 5, breaks: 1, openUntil } });
  t.equal(await isTried({}, breaker(now)), true);
  t.equal(await isTried({}, breaker(now + 1)), false, 'left alone for a while');
});

t.test('readers of an overdue feed bring one poll forward together, within half of the budget', async (t) => {
  const clock = steppedClock(START);
  const upstream = await startUpstream(t, { clock });
  upstream.rows = [fullRow(1, START - HOUR)];
  const yaml = `
data: ./data
feeds:
  soc: { preset: socdefenders, plan: pro, url: "${upstream.url}", key: { env: SOC_KEY }, internal: true, every: 6h }
  quiet: { preset: socdefenders, plan: pro, url: "${upstream.url}", key: { env: SOC_KEY }, internal: true, every: 6h, refresh_on_read: false, filter: { type: url } }
pools: { main: { feeds: [soc] }, other: { feeds: [quiet] } }
collections: { all: { pool: main }, quiet: { pool: other } }
`;
  const gateway = await openGateway(t, t.testdir(), yaml, { clock, env: { SOC_KEY: UPSTREAM_KEY } });
  const headers = { authorization: `Bearer ${gateway.key}` };
  const readAs = (url: string) =>
    Promise.all(Array.from({ length: READERS }, () => gateway.app.inject({ url, headers })));
  const all = '/api/taxii2/api/collections/all/objects/';
  gateway.side.start();
  const runUntil = async (end: Micros): Promise<void> => {
    do await settled(clock, 3);
    while (clock.wake(end));
    await settled(clock, 3);
  };
  await runUntil(START + MINUTE);
  const whole = upstream.requests.length;
  t.ok(whole >= 2, 'both were read');
  await readAs(all);
  await settled(clock, 3);
  t.equal(upstream.requests.length, whole, 'fresh: nothing is asked');

  upstream.down = { status: 503 };
  // Failing since six hours after the start; its backoff has grown to hours by then.
  await runUntil(START + 16 * HOUR);
  const state = async (name: string) => (await gateway.side.status()).feeds.find(({ feed }) => feed === name);
  const soc = await state('soc');
  t.ok((soc?.nextPollAt ?? 0) - clock.now() > HOUR, 'the next try is far away');
  upstream.down = null;
  const before = upstream.requests.length;
  await readAs('/api/taxii2/api/collections/quiet/objects/');
  await settled(clock, 3);
  t.equal(upstream.requests.length, before, 'a feed that says refresh_on_read: false is left to its schedule');
  const replies = await readAs(all);
  t.ok(
    replies.every(({ statusCode }) => statusCode === 200),
    'all are answered at once, with what there is',
  );
  for (let i = 0; i < 100_000 && (await state('soc'))?.failures !== 0; i += 1) await settled(clock, 0);
  await settled(clock, 3);
  const filters = upstream.requests.slice(before).map(({ url }) => url.searchParams.get('offset'));
  t.strictSame(filters, ['0'], 'one try for all of them');

  // Failing anew: however often it is read, readers cause a try every five minutes at most, and the breaker fewer.
  upstream.down = { status: 503 };
  await runUntil(clock.truth() + 12 * HOUR);
  const calls = upstream.requests.length;
  const from = clock.truth();
  while (clock.truth() < from + HOUR) {
    await readAs(all);
    await runUntil(clock.truth() + 10 * MICROS_PER_SECOND);
  }
  t.ok(
    upstream.requests.length - calls <= 3 * 12 + 6,
    `${upstream.requests.length - calls} calls in an hour of reading`,
  );
  const openUntil = (await gateway.side.status()).accounts[0]?.breaker?.openUntil ?? 0;
  t.ok(openUntil > clock.now(), 'the breaker is open');
  const [{ budget }] = (await gateway.app.inject({ url: '/api/v1/feeds', headers })).json().data;
  t.equal(budget.next_request_at, formatMillis(openUntil), 'and readers are told until when');
});

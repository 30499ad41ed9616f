import { createServer } from 'node:http';
import t, { type Test } from 'tap';
import { lastChange } from '../../src/ingest/last-change.ts';
import { MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { isStalled } from '../../src/model/freshness.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { unknownFeed } from '../../src/store/empty-state.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';

const HOUR: Micros = 3600 * MICROS_PER_SECOND;
const date = (at: Micros): string => new Date(at / 1000).toUTCString();
const answer = (body: string, lastModified: Micros | null = null) => ({
  bodyHash: `fingerprint:${body}`,
  lastModified: lastModified === null ? null : date(lastModified),
});
const before = { ...unknownFeed('house'), ...answer('one'), changedAt: START, succeededAt: START + 10 * HOUR };
const now = START + 12 * HOUR;

t.test('of a list that is one answer, another answer is a change, and the same one is none', (t) => {
  t.equal(lastChange(before, { hasChanges: false, answer: answer('two') }, now), now);
  t.equal(
    lastChange(before, { hasChanges: true, answer: answer('one') }, now),
    START,
    'the same bytes, read in another way',
  );
  t.equal(lastChange(before, { hasChanges: true, answer: { ...answer('one'), bodyHash: 'other:one' } }, now), START);
  t.end();
});

t.test('where a pull is several answers, the rows tell', (t) => {
  for (const unknown of [answer(''), { bodyHash: null, lastModified: null }]) {
    t.equal(lastChange(before, { hasChanges: false, answer: unknown }, now), START);
    t.equal(lastChange(before, { hasChanges: true, answer: unknown }, now), now);
    t.equal(lastChange({ ...before, ...unknown }, { hasChanges: false, answer: answer('one') }, now), START);
  }
  t.end();
});

t.test('the date of a list counts within the pulls between which it changed', (t) => {
  const dated = (at: Micros) => lastChange(before, { hasChanges: false, answer: answer('two', at) }, now);
  t.equal(dated(START + 11 * HOUR), START + 11 * HOUR);
  t.equal(dated(START - 99 * HOUR), START + 10 * HOUR, 'a date that never moves');
  t.equal(dated(START + 99 * HOUR), now, 'a date ahead');
  const first = (lastModified: Micros | null) =>
    lastChange(unknownFeed('house'), { hasChanges: true, answer: answer('one', lastModified) }, now);
  t.equal(first(START - 99 * HOUR), START - 99 * HOUR, 'a list that was never read may be old');
  t.equal(first(null), now);
  t.end();
});

t.test('a list has stalled once it was seen unchanged for longer than promised', (t) => {
  const stalled = (changedAt: Micros | null, succeededAt: Micros | null, promise: number | undefined = 24) =>
    isStalled({ changedAt, succeededAt }, promise === 0 ? undefined : (promise * HOUR) / 1000);
  t.notOk(stalled(START, START + 24 * HOUR));
  t.ok(stalled(START, START + 24 * HOUR + 1));
  t.notOk(stalled(START, START + 999 * HOUR, 0), 'without a promise');
  t.notOk(stalled(null, START));
  t.notOk(stalled(START, null));
  t.end();
});

const LIST = '198.51.100.1\n198.51.100.2\n';

/** A gateway with one feed of a list that a test may change. */
async function openList(t: Test, yaml: string, paths?: Record<string, string>) {
  const list = { body: LIST, modified: null as string | null, status: 200 };
  const server = createServer((request, reply) => {
    const body = paths === undefined ? list.body : paths[request.url?.split('/').at(-1) ?? ''];
    const status = body === undefined ? 404 : list.status;
    reply.writeHead(status, list.modified === null ? {} : { 'last-modified': list.modified }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const clock = scriptedClock(parseTimestamp('2026-11-28T00:00:00Z') as number, { auto: true });
  const text = `
data: ./data
metrics: { public: true }
feeds: { one: { url: '${url}/', internal: true, every: 12h, ${yaml} } }
pools: { main: { feeds: [one] } }
collections: { all: { pool: main } }
`;
  const gateway = await openGateway(t, t.testdir(), text, { clock });
  const ask = async (path: string) =>
    (await gateway.app.inject({ url: path, headers: { authorization: `Bearer ${gateway.key}` } })).payload;
  const told = async () => {
    const [feed] = JSON.parse(await ask('/api/v1/feeds')).data;
    const [state] = (await gateway.side.status()).feeds;
    const gauge = /sluice_feed_stalled\{feed="one"\} (\d)/.exec(await ask('/metrics'))?.[1] ?? null;
    const { status, stalled, changed_at: changedAt } = feed;
    t.equal(state?.stalled ?? null, stalled, 'the command tells the same');
    return { status, stalled, changedAt, gauge, live: feed.counts[0].live };
  };
  const after = async (hours: number) => {
    clock.set(clock.now() + hours * HOUR);
    const { outcome } = await gateway.side.poll('one');
    return { outcome, ...(await told()) };
  };
  return { list, clock, after, told };
}

t.test('a list that stays as it is for ten days is marked and loses nothing; its next change ends that', async (t) => {
  // stamparm/ipsum issue 42: it stood still for more than a week, and was served with 200 all the time.
  const { list, clock, after, told } = await openList(t, 'format: text, fresh_within: 48h, lifetime: 3650d');
  const start = formatMillis(clock.now());
  t.match(await after(0), { outcome: 'whole', status: 'fresh', stalled: null, changedAt: start, gauge: '0', live: 2 });
  for (let day = 1; day <= 10; day += 1) {
    const { stalled, ...rest } = await after(24);
    const isOver = day > 2;
    t.match(
      rest,
      { outcome: 'unchanged', status: isOver ? 'stalled' : 'fresh', changedAt: start, live: 2 },
      `day ${day}`,
    );
    t.equal(rest.gauge, isOver ? '1' : '0');
    if (isOver)
      t.equal(
        stalled,
        `The list last changed at ${start}, and should every 2d (fresh_within). What it holds is still served.`,
      );
    else t.equal(stalled, null);
  }
  list.body = `# made anew\n${LIST}`;
  t.match(
    await after(24),
    { outcome: 'whole', status: 'fresh', stalled: null, live: 2 },
    'made anew with the same rows',
  );
  list.status = 500;
  t.match(await after(24 * 9), { outcome: 'failed', status: 'stale', stalled: null }, 'who is not read is not judged');
  t.match(await told(), { status: 'stale', gauge: '0' });
});

t.test('a list that died years ago is marked at its first poll', async (t) => {
  // nextdns/metadata issue 959: lists that were not updated since 2019 and are served as if they were new.
  const { list, after } = await openList(t, 'format: text, fresh_within: 7d');
  list.modified = 'Mon, 16 Dec 2019 08:00:00 GMT';
  t.match(await after(0), { outcome: 'whole', status: 'stalled', changedAt: '2019-12-16T08:00:00.000Z', live: 2 });
  t.match(await after(24), { outcome: 'unchanged', status: 'stalled', live: 2 });
});

t.test('a MISP feed whose manifest no longer moves has stalled', async (t) => {
  // davidonzo/Threat-Intel issue 47.
  const uuid = '5d2f1c3a-3b7c-4b1e-9d51-4f2a950d210f';
  const manifest = { [uuid]: { info: 'one', timestamp: '1795824000', date: '2026-11-28' } };
  const attribute = { uuid, type: 'ip-dst', value: '198.51.100.1', to_ids: true, timestamp: '1795824000' };
  const event = { uuid, info: 'one', timestamp: '1795824000', date: '2026-11-28', Attribute: [attribute] };
  const { after } = await openList(t, 'format: misp-feed, fresh_within: 3d', {
    'manifest.json': JSON.stringify(manifest),
    [`${uuid}.json`]: JSON.stringify({ Event: event }),
  });
  t.match(await after(0), { outcome: 'whole', status: 'fresh', live: 1 });
  t.match(await after(48), { status: 'fresh', live: 1 });
  t.match(await after(48), { status: 'stalled', live: 1, gauge: '1' });
});

t.test('a feed without a promise is never marked, and has no gauge', async (t) => {
  const { after } = await openList(t, 'format: text');
  await after(0);
  t.match(await after(24 * 29), { outcome: 'unchanged', status: 'fresh', stalled: null, gauge: null });
});

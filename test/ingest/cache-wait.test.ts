import { createServer } from 'node:http';
import t, { type Test } from 'tap';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';

const HOUR = 3600 * MICROS_PER_SECOND;

/** A list with header fields of its own, and when the next poll of it is due, in hours after the last. */
async function openList(t: Test, section: string) {
  const list = { headers: {} as Record<string, string>, status: 200, etag: false, asked: 0 };
  const server = createServer((request, reply) => {
    list.asked += 1;
    const isKnown = list.etag && request.headers['if-none-match'] === '"1"';
    reply.writeHead(isKnown ? 304 : list.status, { ...list.headers, ...(list.etag ? { etag: '"1"' } : {}) });
    reply.end(isKnown ? undefined : '198.51.100.1\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  const clock = scriptedClock(START, { auto: true });
  const dir = t.testdir();
  const open = (more = section) =>
    openGateway(
      t,
      dir,
      `data: ./data\nfeeds: { one: { format: text, url: '${url}', internal: true, ${more} } }\npools: { main: { feeds: [one] } }\ncollections: { all: { pool: main } }\n`,
      { clock },
    );
  let gateway = await open();
  const wait = async () => {
    const { attemptedAt, nextPollAt } = await gateway.reader.feedState('one');
    return ((nextPollAt ?? 0) - (attemptedAt ?? 0)) / HOUR;
  };
  const poll = async (maxAge: string | null) => {
    clock.set(clock.now() + HOUR);
    list.headers = maxAge === null ? {} : { 'cache-control': maxAge };
    const { outcome } = await gateway.side.poll('one');
    return { outcome, wait: await wait() };
  };
  const restart = async (more: string): Promise<number> => {
    await gateway.close();
    gateway = await open(more);
    return wait();
  };
  const status = async () => (await gateway.side.status()).feeds[0];
  return { list, clock, poll, restart, status };
}

t.test('how long an answer may be kept lengthens the wait within a day, and shortens none', async (t) => {
  const { poll } = await openList(t, 'every: 1h');
  t.same(await poll(null), { outcome: 'whole', wait: 1 });
  t.same(await poll('max-age=60'), { outcome: 'unchanged', wait: 1 }, 'never less than the pace');
  t.same(await poll('max-age=14400'), { outcome: 'unchanged', wait: 4 });
  // gorhill/uBlock issue 2592, ryanbr/fanboy-adblock issue 80: a list that was to be kept for eleven years.
  t.same(await poll('max-age=347000000'), { outcome: 'unchanged', wait: 24 });
  t.same(await poll('no-cache, max-age=14400'), { outcome: 'unchanged', wait: 1 });
});

t.test('a 304 and a list that changed say it as well', async (t) => {
  const { list, poll } = await openList(t, 'every: 1h');
  list.etag = true;
  t.same(await poll('max-age=7200'), { outcome: 'whole', wait: 2 });
  t.same(await poll('max-age=10800'), { outcome: 'unchanged', wait: 3 });
});

t.test('the configuration bounds it, and half of the shortest lifetime does', async (t) => {
  const half = await openList(t, 'every: 1h, lifetime: 6h');
  t.same(await half.poll('max-age=86400'), { outcome: 'whole', wait: 3 });
  const off = await openList(t, 'every: 1h, max_cache: 0s');
  t.same(await off.poll('max-age=86400'), { outcome: 'whole', wait: 1 });
});

t.test('a start goes by it too, and by a bound that was lowered', async (t) => {
  const { poll, restart, list } = await openList(t, 'every: 1h');
  t.same(await poll('max-age=36000'), { outcome: 'whole', wait: 10 });
  t.equal(await restart('every: 1h'), 10);
  t.equal(await restart('every: 2h'), 10, 'a pace that is shorter changes nothing');
  t.equal(await restart('every: 12h'), 12);
  t.equal(await restart('every: 1h, max_cache: 5h'), 5);
  t.equal(list.asked, 1);
});

t.test('a feed that waits because it was asked to is not stale', async (t) => {
  const { poll, clock, status } = await openList(t, 'every: 1h');
  await poll('max-age=36000');
  clock.set(clock.now() + 10 * HOUR);
  t.match(await status(), { stale: false });
  clock.set(clock.now() + 2 * HOUR);
  t.match(await status(), { stale: true }, 'and is, once that is over');
});

t.test('a refusal lengthens the wait by its own rules', async (t) => {
  const { list, poll } = await openList(t, 'every: 1h');
  list.status = 429;
  const { outcome, wait } = await poll('max-age=7200');
  t.equal(outcome, 'failed');
  t.ok(wait >= 2 && wait < 3, `${wait} h`);
});

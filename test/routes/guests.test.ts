import { Agent, get } from 'node:http';
import pino from 'pino';
import t, { type Test } from 'tap';
import type { NamedList } from '../../src/model/definition.ts';
import { client, openApp } from '../helpers/app.ts';
import { listOf } from '../helpers/lists.ts';

const named = (name: string, changes: Partial<NamedList> = {}): NamedList => ({
  name,
  list: listOf(),
  allowFrom: [],
  onRefused: 'unauthenticated',
  ...changes,
});

async function openWith(t: Test, lists: NamedList[]) {
  const app = await openApp(t, { named: lists });
  const get = (url: string, remoteAddress = '203.0.113.7', headers: Record<string, string> = {}) =>
    app.app.inject({ url, remoteAddress, headers });
  return { ...app, get };
}

t.test('a list is read without a key from the networks that it names, and nothing else is', async (t) => {
  const edge = named('edge', { allowFrom: ['192.0.2.0/24', '2001:db8::7'] });
  const { get } = await openWith(t, [edge, named('other')]);
  for (const address of ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::7']) {
    t.equal((await get('/lists/edge', address)).statusCode, 200, address);
    t.equal((await get('/api/v1/lists/edge', address)).statusCode, 200, address);
    for (const url of ['/lists/other', '/lists', '/lists/all.txt', '/api/v1/iocs', '/lists/edge.txt'])
      t.equal((await get(url, address)).statusCode, 401, `${url} from ${address}`);
  }
  for (const address of ['192.0.3.1', '2001:db8::8', '::ffff:192.0.3.1'])
    t.equal((await get('/lists/edge', address)).statusCode, 401, address);
  const forwarded = { 'x-forwarded-for': '192.0.2.1' };
  t.equal((await get('/lists/edge', '203.0.113.7', forwarded)).statusCode, 401, 'whoever calls says no address');
  t.equal((await get('/lists/edge', '192.0.2.1', { authorization: 'Bearer wrong' })).statusCode, 401, 'a wrong key');
});

t.test('readers of a list without a key have a rate of their own', async (t) => {
  const { get, ask } = await openWith(t, [named('edge', { allowFrom: ['192.0.2.0/24'] })]);
  let last = 200;
  for (let i = 0; i < 601; i += 1) last = (await get('/lists/edge', '192.0.2.1')).statusCode;
  t.equal(last, 429);
  t.equal((await ask('/lists/edge')).statusCode, 200, 'a client with a key has its own');
});

t.test('a refused caller is answered as the list says', async (t) => {
  const statuses = { unauthenticated: 401, forbidden: 403, 'not-found': 404, unavailable: 503 } as const;
  const lists = Object.keys(statuses).map((onRefused) =>
    named(onRefused, { onRefused: onRefused as NamedList['onRefused'] }),
  );
  const { get, ask } = await openWith(t, lists);
  for (const [name, status] of Object.entries(statuses)) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }] as Record<string, string>[]) {
      const refused = await get(`/lists/${name}`, '203.0.113.7', headers);
      t.equal(refused.statusCode, status, name);
      t.equal(refused.headers['www-authenticate'] !== undefined, status === 401);
      t.equal(refused.headers['retry-after'], status === 503 ? '300' : undefined);
    }
    t.equal((await ask(`/lists/${name}`)).statusCode, 200);
    t.equal((await get(`/lists/${name}?page=x`)).statusCode, status, 'before the query is looked at');
  }
});

t.test('a list of the configuration stands at its name, takes pages only, and is told of to its readers', async (t) => {
  const edge = named('edge');
  const { ask, get } = await openWith(t, [{ ...edge, list: { ...edge.list, emptyLine: '192.0.2.255' } }]);
  t.equal((await ask('/lists/edge')).body, '192.0.2.255\n');
  t.equal((await ask('/lists/edge?page=2&page_size=10')).statusCode, 200);
  t.match((await ask('/lists/edge?types=ipv4')).json(), { status: 400, parameter: 'types' });
  t.match((await ask('/lists')).json(), {
    lists: [{ name: 'edge', address: '/lists/edge', collection: 'all', format: 'txt', tlp: 'amber' }],
  });
  t.equal((await get('/lists')).statusCode, 401);
});

const CANARY = 'slc_canary';
const WRONG = 'slc_wrong-canary';
const firewall = client({ name: 'edge-fw', collections: ['ips'], rate: { max: 8, per: 60_000 }, pathKey: true });

t.test('a key in the path is good there only, for what its client may read, at its rate', async (t) => {
  const ips = named('edge');
  const { app } = await openApp(
    t,
    { named: [{ ...ips, list: { ...ips.list, collection: 'ips' } }, named('all-of-it', { onRefused: 'not-found' })] },
    { [CANARY]: firewall },
  );
  const status = async (url: string, headers = {}, method: 'GET' | 'HEAD' = 'GET') =>
    (await app.inject({ url, headers, method })).statusCode;
  t.equal(await status(`/lists/t/${CANARY}/edge`), 200);
  t.equal(await status(`/lists/t/${CANARY}/ips.csv`, {}, 'HEAD'), 200);
  t.equal(await status(`/lists/t/${CANARY}/all.txt`), 404, 'another collection');
  t.equal(await status(`/lists/t/${CANARY}/edge`, { authorization: 'Bearer slc_reader' }), 200, 'the path decides');
  t.equal(await status(`/lists/t/slc_reader/edge`), 401, "another client's key");
  t.equal(await status(`/lists/t/${WRONG}/edge`, { authorization: 'Bearer slc_reader' }), 401);
  t.equal(await status(`/lists/t/${WRONG}/all-of-it`), 404, 'as the list says');
  t.equal(await status(`/lists/t/${WRONG}/nothing.txt`), 401);
  const basic = `Basic ${Buffer.from(`x:${CANARY}`).toString('base64')}`;
  for (const headers of [{ authorization: `Bearer ${CANARY}` }, { authorization: basic }, { 'x-api-key': CANARY }])
    t.equal(await status('/lists/edge', headers), 401, 'it is no key of a header field');
  t.equal(await status(`/api/v1/lists/t/${CANARY}/edge`), 401);
  for (let i = 0; i < 4; i += 1) t.equal(await status(`/lists/t/${CANARY}/edge`), 200);
  t.equal(await status(`/lists/t/${CANARY}/edge`), 429);
  t.equal(await status('/lists/edge', { authorization: 'Bearer slc_reader' }), 200, 'others have their own rate');
});

t.test('who was let in by a key in the path is nobody in the next request of the connection', async (t) => {
  const { app } = await openApp(t, {}, { [CANARY]: firewall });
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const ask = (path: string, headers = {}) =>
    new Promise((resolve, reject) => {
      get(`${address}${path}`, { agent, headers }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode));
      }).on('error', reject);
    });
  const key = { authorization: 'Bearer slc_reader' };
  t.equal(await ask(`/lists/t/${CANARY}/ips.txt`), 200);
  t.equal(await ask('/lists'), 401);
  t.equal(await ask('/lists', key), 200);
  t.equal(await ask(`/lists/t/${WRONG}/ips.txt`, key), 401, 'nor does a key that was good before help');
});

t.test('no log, metric, error or header field shows a key in the path', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line) => lines.push(line) });
  const builds = { read: () => Promise.reject(new Error('the disk is gone')), pathOf: () => '' };
  const said: string[] = [];
  const statuses = new Set<number>();
  for (const parts of [{}, { lists: { named: [], builds } }]) {
    await t.test(Object.keys(parts).length === 0 ? 'as it should be' : 'while lists fail', async (t) => {
      const { app: one } = await openApp(
        t,
        { log, ...parts },
        { [CANARY]: { ...firewall, rate: { max: 12, per: 60_000 } } },
      );
      for (const token of [CANARY, WRONG, `${CANARY}%`, `${CANARY}%2f`, CANARY.repeat(40)]) {
        for (const rest of [
          '/ips.txt',
          '/all.txt',
          '/ips.none',
          '/ips.txt?page=x',
          '/ips.txt?no=1',
          '',
          '/ips.txt/more',
          '/%zz',
        ]) {
          for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS'] as const) {
            const answer = await one.inject({ method, url: `/lists/t/${token}${rest}` });
            statuses.add(answer.statusCode);
            said.push(JSON.stringify(answer.headers), answer.body);
          }
        }
      }
      said.push((await one.inject({ url: '/metrics' })).body);
    });
  }
  for (const status of [200, 400, 401, 404, 405, 414, 429, 500]) t.ok(statuses.has(status), `${status} was answered`);
  t.match(lines.join(''), /the disk is gone/);
  t.match(said.join(''), /route="\/lists\/t\/:token\/:list"/);
  for (const [where, text] of Object.entries({ answers: said.join(''), log: lines.join('') }))
    t.notOk(/canary/i.test(text), `not in the ${where}: ${/.{0,80}canary.{0,40}/i.exec(text)?.[0] ?? ''}`);
});

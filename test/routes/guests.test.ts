import t, { type Test } from 'tap';
import type { NamedList } from '../../src/model/definition.ts';
import { openApp } from '../helpers/app.ts';

const named = (name: string, changes: Partial<NamedList> = {}): NamedList => ({
  name,
  list: {
    collection: 'all',
    format: 'txt',
    options: { comments: false, prefixes: 'cidr' },
    types: null,
    minConfidence: null,
    minPrefix: { ipv4: 0, ipv6: 0 },
    aggregate: false,
    order: 'strongest',
    maxEntries: null,
    pageSize: null,
    emptyLine: null,
  },
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

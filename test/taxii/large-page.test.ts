// slow (9 s): pages of tens of megabytes
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import type { RouteParts } from '../../routes/parts.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { collection, openApp, type TestApp } from '../helpers/app.ts';
import { indicatorEntry } from '../helpers/store.ts';

const ROOT = '/api/taxii2/api/collections/';
const MANY = 12_000;
const taxii = {
  title: 'Sluice',
  description: null,
  contact: null,
  apiRoots: [{ path: '/api/taxii2/api/', title: 'Root', description: null }],
  pageSize: 1000,
  maxPage: 5000,
};
const collections = [
  collection('all', { maxPage: 50_000 }),
  collection('whole', { pageSize: 50_000 }),
  collection('standard'),
  collection('small', { pageSize: 20, maxPage: 30 }),
  collection('cut', { maxPage: 500 }),
];

/** The application on `MANY` entries, and what was asked of its store. */
async function open(t: Test) {
  const first = await openApp(t);
  const entries = await first.append(
    Array.from({ length: MANY }, (_, n) => indicatorEntry({ value: `h${n}.example`, description: 'x'.repeat(500) })),
  );
  const limits: number[] = [];
  const reader: RouteParts['reader'] = {
    ...first.reader,
    visitPage: (query, visit) => {
      limits.push(query.limit);
      return first.reader.visitPage(query, visit);
    },
  };
  const app = await openApp(t, { reader, taxii, collections, cursorSecret: await first.reader.cursorSecret() });
  return { first, app, entries, limits };
}

async function walk({ ask }: TestApp, start: string): Promise<{ objects: any[]; sizes: number[] }> {
  const objects: any[] = [];
  const sizes: number[] = [];
  for (let next = ''; ; ) {
    const page = (await ask(start + next)).json();
    objects.push(...page.objects);
    sizes.push(page.objects.length);
    if (!page.more) return { objects, sizes };
    next = `&next=${page.next}`;
  }
}

t.test('a large page has the content of small ones, and is read in slices', async (t) => {
  const { app, limits } = await open(t);
  for (const resource of ['objects', 'manifest']) {
    const small = await walk(app, `${ROOT}all/${resource}/?limit=1000`);
    limits.length = 0;
    const whole = await app.ask(`${ROOT}all/${resource}/?limit=15000`);
    t.strictSame(whole.json(), { more: false, objects: small.objects });
    t.ok(
      limits.every((limit) => limit <= 1000),
      'the thread is given back after each slice',
    );
    const cut = await walk(app, `${ROOT}all/${resource}/?limit=5500`);
    t.strictSame([cut.objects, cut.sizes], [small.objects, [5500, 5500, 1000]]);
    const exact = await app.ask(`${ROOT}all/${resource}/?limit=${MANY}`);
    t.strictSame(exact.json(), whole.json(), 'no more behind a page that ends with the last');

    const kept = await app.ask(`${ROOT}all/${resource}/?limit=5000`);
    const large = await app.ask(`${ROOT}all/${resource}/?limit=5001`);
    const names = ['content-type', 'cache-control', 'vary', 'x-taxii-date-added-first', 'x-content-type-options'];
    for (const name of names) t.equal(large.headers[name], kept.headers[name], name);
    t.ok(`${large.headers['x-taxii-date-added-last']}` > `${kept.headers['x-taxii-date-added-last']}`);

    const coded = await app.ask(`${ROOT}all/${resource}/?limit=15000`, { headers: { 'accept-encoding': 'gzip' } });
    t.equal(coded.headers['content-encoding'], 'gzip');
    t.equal(gunzipSync(coded.rawPayload).toString(), whole.body);
    const head = await app.ask(`${ROOT}all/${resource}/?limit=15000`, { method: 'HEAD' });
    t.strictSame([head.statusCode, head.body, head.headers['content-length']], [200, '', undefined]);
    t.equal(head.headers['x-taxii-date-added-last'], whole.headers['x-taxii-date-added-last']);
    const after = whole.headers['x-taxii-date-added-last'];
    const none = await app.ask(`${ROOT}all/${resource}/?limit=15000&added_after=${after}`);
    t.strictSame(none.json(), resource === 'objects' ? { more: false, objects: [] } : {});
    t.equal(none.headers['x-taxii-date-added-last'], after);
    t.strictSame((await app.ask(`${ROOT}all/${resource}/?limit=15000&match[spec_version]=2.0`)).json(), none.json());
  }
  const typed = (await app.ask(`${ROOT}all/objects/?limit=15000&match[type]=indicator&match[version]=all`)).json();
  t.equal(typed.objects.length, MANY);
});

t.test('each collection has its own sizes of pages, else those of the server', async (t) => {
  const { app } = await open(t);
  for (const [name, query, size] of [
    ['all', '', 1000],
    ['all', '?limit=7000', 7000],
    ['whole', '', MANY],
    ['standard', '', 1000],
    ['standard', '?limit=15000', 5000],
    ['small', '', 20],
    ['small', '?limit=25', 25],
    ['small', '?limit=15000', 30],
    ['cut', '', 500],
  ] as const) {
    const page = (await app.ask(`${ROOT}${name}/objects/${query}`)).json();
    t.strictSame([page.objects.length, page.more, 'next' in page], [size, size < MANY, size < MANY], name + query);
  }
});

t.test('a large page is read as fast as its reader takes it, and what changes meanwhile comes behind it', async (t) => {
  const { first, app, entries, limits } = await open(t);
  await app.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.app.server.address() as AddressInfo;
  const options = { port, path: `${ROOT}all/objects/?limit=${MANY}`, headers: { authorization: 'Bearer slc_reader' } };
  const [reply] = (await once(httpGet(options), 'response')) as [IncomingMessage];
  const begun = limits.length;
  const changed = entries.at(-1) as IndicatorEntry;
  await first.append([{ ...changed, version: changed.version + 1000 }], [changed.dateAdded]);
  const page = JSON.parse(await text(reply));
  t.ok(limits.length - begun > 2, `${limits.length - begun} slices were read after the answer had begun`);
  const ids = page.objects.map(({ id }: { id: string }) => id);
  t.equal(ids.length, MANY - 1, 'what was superseded is not in it');
  t.notOk(ids.includes(changed.objectId));
  const last = reply.headers['x-taxii-date-added-last'];
  const rest = (await app.ask(`${ROOT}all/objects/?added_after=${last}`)).json();
  t.match(rest.objects, [{ id: changed.objectId }], 'but behind its last date');
});

t.test('a reader that disconnects ends the reading of a large page', async (t) => {
  for (const coding of ['identity', 'gzip', 'zstd']) {
    const { app, limits } = await open(t);
    await app.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.app.server.address() as AddressInfo;
    const closed = new Promise<void>((resolve) => {
      app.app.server.on('connection', (socket) => socket.on('close', () => resolve()));
    });
    const headers = { authorization: 'Bearer slc_reader', 'accept-encoding': coding };
    const request = httpGet({ port, path: `${ROOT}all/objects/?limit=15000`, headers });
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    await once(reply, 'readable');
    reply.read(1);
    reply.on('error', () => undefined);
    request.on('error', () => undefined);
    request.destroy();
    await closed;
    const read = limits.length;
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    t.ok(limits.length - read <= 2, `${coding}: no more is read for nobody`);
    t.equal((await app.ask(`${ROOT}all/objects/?limit=1`)).statusCode, 200);
  }
});

import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import type { Entry } from '../../src/model/entry.ts';
import { client, openApp } from '../helpers/app.ts';
import { feed } from '../helpers/journals.ts';
import { indicatorEntry } from '../helpers/store.ts';

const address = (value: string, confidence = 80) => indicatorEntry({ type: 'ipv4', value, confidence });
const name = (value: string, confidence = 80) => indicatorEntry({ value, confidence });

async function openWith(t: Test, entries: Entry[]) {
  const app = await openApp(t);
  await app.append(entries);
  return app;
}

t.test('a list is the whole collection in its format, the strongest first', async (t) => {
  const many = Array.from({ length: 1203 }, (_, i) => name(`h${i}.example`, i % 101));
  const { ask } = await openWith(t, [...many, indicatorEntry({ value: 'none.example', confidence: null })]);
  const { statusCode, headers, body } = await ask('/lists/all.txt');
  t.equal(statusCode, 200, body);
  t.match(headers, {
    'content-type': 'text/plain; charset=utf-8',
    'x-tlp': 'TLP:AMBER',
    'x-entries': '1204',
    'x-pages': '1',
    'x-left-out': undefined,
  });
  const lines = body.split('\n').slice(0, -1);
  t.equal(new Set(lines).size, 1204);
  t.equal(lines.at(-1), 'none.example');
  const steps = lines.slice(0, -1).map((line) => {
    const confidence = Number(/\d+/.exec(line)?.[0]) % 101;
    return confidence === 100 ? 10 : Math.floor(confidence / 10);
  });
  t.strictSame(
    steps,
    steps.toSorted((a, b) => b - a),
    'in steps of ten',
  );
  const newest = (await ask('/lists/all.txt?order=newest')).body.split('\n');
  t.strictSame(newest.slice(0, 2), ['none.example', 'h1202.example']);
  t.equal((await ask('/api/v1/lists/all.txt')).body, body, 'the same under /api/v1');
  t.equal((await ask(`/lists/all.csv`)).body.split('\r\n').length, 1206, 'a table as well');
});

t.test('who reads again gets 304 by tag or date, also after something else changed in the journal', async (t) => {
  const { ask, append, clock } = await openWith(t, [address('192.0.2.1'), name('a.example')]);
  const first = await ask('/lists/ips.txt');
  const etag = String(first.headers['etag']);
  const modified = String(first.headers['last-modified']);
  t.equal(modified, 'Thu, 01 Jan 2026 00:00:00 GMT');
  for (const headers of [{ 'if-none-match': etag }, { 'if-modified-since': modified }]) {
    const again = await ask('/lists/ips.txt', { headers });
    t.match([again.statusCode, again.body, again.headers['etag']], [304, '', etag]);
  }
  await clock.advance(60_000);
  await append([name('b.example')]);
  t.equal((await ask('/lists/ips.txt', { headers: { 'if-none-match': etag } })).statusCode, 304, 'a name is not in it');
  await append([address('192.0.2.2')]);
  const changed = await ask('/lists/ips.txt', { headers: { 'if-none-match': etag, 'if-modified-since': modified } });
  t.equal(changed.body, '192.0.2.2\n192.0.2.1\n');
  t.not(changed.headers['etag'], etag);
  t.equal(changed.headers['last-modified'], 'Thu, 01 Jan 2026 00:01:00 GMT');
  t.equal((await ask('/lists/ips.txt', { headers: { 'if-modified-since': modified } })).statusCode, 200);
});

t.test('what is withdrawn is gone', async (t) => {
  const { ask, append } = await openApp(t);
  const [kept, gone] = await append([address('192.0.2.1'), address('192.0.2.2')]);
  t.equal((await ask('/lists/all.txt')).body, '192.0.2.2\n192.0.2.1\n');
  await append([{ ...address('192.0.2.2'), revoked: true, reason: 'vanished' }], [gone?.dateAdded ?? null]);
  t.equal((await ask('/lists/all.txt')).body, '192.0.2.1\n');
  t.ok(kept);
});

t.test('with gzip and by HEAD, with the length of what GET sends', async (t) => {
  const { app, ask } = await openWith(t, [name('a.example')]);
  const plain = await ask('/lists/all.txt');
  const zipped = await ask('/lists/all.txt', { headers: { 'accept-encoding': 'br, gzip;q=0.5' } });
  t.equal(zipped.headers['content-encoding'], 'gzip');
  t.equal(gunzipSync(zipped.rawPayload).toString(), 'a.example\n');
  t.not(zipped.headers['etag'], plain.headers['etag'], 'another body, another tag');
  const head = await app.inject({ method: 'HEAD', url: '/lists/all.txt', headers: { 'x-api-key': 'slc_reader' } });
  t.match([head.statusCode, head.headers['content-length'], head.body], [200, '10', '']);
  t.equal(head.headers['etag'], plain.headers['etag']);
});

t.test('nothing is cut in silence: a header and a comment say how many are left out', async (t) => {
  const entries = [address('192.0.2.1', 20), address('192.0.2.2', 90), address('192.0.2.3', 50)];
  const { ask } = await openWith(t, [...entries, address('10.0.0.0/8'), address('198.51.100.0/24')]);
  const { headers, body } = await ask('/lists/all.txt?max_entries=2&min_prefix=24&comments=true');
  t.match(headers, { 'x-entries': '2', 'x-left-out': '3' });
  t.strictSame(body.split('\n'), [
    '# all (all), TLP:AMBER, 2026-01-01T00:00:00.000Z',
    '192.0.2.2',
    '198.51.100.0/24',
    '# Left out: 2 beyond the maximum, 1 networks that are too wide.',
    '',
  ]);
});

t.test('types, a least confidence, and pages that hold all of it together', async (t) => {
  const { ask } = await openWith(t, [
    name('a.example'),
    indicatorEntry({ value: 'b.example', confidence: null }),
    ...Array.from({ length: 7 }, (_, i) => address(`192.0.2.${i}`, 10 * (i + 1))),
  ]);
  t.equal((await ask('/lists/all.txt?types=domain,cve')).body, 'a.example\nb.example\n');
  t.equal((await ask('/lists/all.txt?types=domain&min_confidence=1')).body, 'a.example\n');
  t.equal((await ask('/lists/ips.txt?types=domain')).body, '', 'a view keeps to its types');
  t.equal((await ask('/lists/all.txt?min_confidence=65&types=ipv4')).body, '192.0.2.6\n', '70, and 65 is a bound');
  const pages = [1, 2, 3, 4].map(async (page) => ask(`/lists/ips.txt?page_size=3&page=${page}`));
  const read = await Promise.all(pages);
  t.strictSame(
    read.map(({ body }) => body),
    ['192.0.2.6\n192.0.2.5\n192.0.2.4\n', '192.0.2.3\n192.0.2.2\n192.0.2.1\n', '192.0.2.0\n', ''],
  );
  for (const { headers } of read) t.match(headers, { 'x-pages': '3', 'x-entries': '7', 'x-left-out': undefined });
  const table = await ask('/lists/ips.csv?page_size=3&page=3&max_entries=7');
  t.match(table.body, /\r\n[^\r]*192\.0\.2\.0,low/, 'tables have pages too');
  t.equal(table.body.split('\r\n').length, 3);
});

t.test('networks: merged, as ranges, as addresses', async (t) => {
  const { ask } = await openWith(t, [
    address('192.0.2.0/25', 30),
    address('192.0.2.128/25', 90),
    address('192.0.2.7', 90),
    indicatorEntry({ type: 'ipv6', value: '2001:db8::/127' }),
    name('a.example'),
  ]);
  t.equal((await ask('/lists/ips.txt?aggregate=true')).body, '2001:db8::/127\n192.0.2.0/24\n');
  t.equal(
    (await ask('/lists/ips.txt?aggregate=true&prefixes=range')).body,
    '2001:db8::-2001:db8::1\n192.0.2.0-192.0.2.255\n',
  );
  t.equal((await ask('/lists/ips.txt?types=ipv6&prefixes=hosts')).body, '2001:db8::\n2001:db8::1\n');
  t.equal((await ask('/lists/ips.csv?aggregate=true')).statusCode, 400);
});

t.test('a list that the caller may not read is no list', async (t) => {
  const { ask, app } = await openApp(t, {}, { narrow: client({ name: 'narrow', collections: ['ips'] }) });
  const asNarrow = (url: string) => ask(url, { headers: { authorization: 'Bearer narrow' } });
  t.equal((await asNarrow('/lists/ips.txt')).statusCode, 200);
  for (const url of [
    '/lists/all.txt',
    '/lists/red.txt',
    '/lists/nothing.txt',
    '/lists/ips',
    '/lists/ips.',
    '/lists/ips.pdf',
  ])
    t.match((await asNarrow(url)).json(), { status: 404, detail: 'There is no such list.' }, url);
  t.equal((await app.inject('/lists/all.txt')).statusCode, 401);
  for (const query of [
    'min_prefix=33',
    'order=value',
    'page=0',
    'page=10001',
    'wrong=1',
    'types=domain,',
    'aggregate=yes',
  ])
    t.equal((await ask(`/lists/all.txt?${query}`)).statusCode, 400, query);
});

t.test('by /api/v1/iocs, text and tables are whole unless a page is asked for', async (t) => {
  const { ask } = await openWith(
    t,
    Array.from({ length: 303 }, (_, i) => name(`h${i}.example`)),
  );
  const linesOf = async (query: string) => (await ask(`/api/v1/iocs?${query}`)).body.split('\n').length - 1;
  t.equal(await linesOf('format=txt'), 303);
  t.equal(await linesOf('format=csv'), 304);
  t.equal(await linesOf('format=txt&limit=50'), 50);
  t.equal(await linesOf('format=txt&offset=300'), 3);
  t.equal(await linesOf('format=txt&category=nothing'), 0);
  t.equal((await ask('/api/v1/iocs')).json().data.length, 100, 'JSON comes in pages as before');
  t.equal(await linesOf('format=txt&type=domain,ipv4'), 303, 'several types');
  t.equal(await linesOf('format=txt&type=ipv4,ipv6'), 0);
});

t.test('the credits of the feeds behind a list, and what may not be passed on, are comments in it', async (t) => {
  const house = feed('house', { title: 'House', attribution: 'thanks', redistribution: 'no' });
  const other = feed('other', { title: 'Other', attribution: 'not here' });
  const facts = { idle: null, account: null };
  const feeds = [
    { ...facts, definition: house, collections: ['all'] },
    { ...facts, definition: other, collections: ['ips'] },
  ];
  const { ask } = await openApp(t, { feeds });
  const lines = (await ask('/lists/all.domains')).body.split('\n');
  t.strictSame(lines.slice(1), ['# House: thanks; not to be passed on outside of the organisation that reads it', '']);
});

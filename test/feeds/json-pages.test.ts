import t, { type Test } from 'tap';
import { json } from '../../src/feeds/json.ts';
import { stix } from '../../src/feeds/stix.ts';
import { MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { Secret } from '../../src/model/secret.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openFeedBench, pull } from '../helpers/feed.ts';
import { serve } from '../helpers/scripted-server.ts';
import { START, uuidOf } from '../helpers/store.ts';

const names = (count: number) => Array.from({ length: count }, (_, n) => `host-${n}.example`);
const rowsOf = (values: string[]) => values.map((value) => ({ value }));
const fields = { fields: { value: 'value' }, items: '$.data[*]' };

async function pulled(t: Test, options: object) {
  const bench = await openFeedBench(t, json, { ...fields, ...options });
  const { items, ...rest } = await pull(json, bench.context());
  return { ...rest, values: items.map((item) => ('value' in item ? item.value : null)) };
}

/** A list in pages: the parameters of each request say which. */
async function servePages(t: Test, all: string[], page: (parameters: Record<string, string>, url: string) => object) {
  return serve(t, ({ message, body }, response) => {
    const url = new URL(message.url ?? '', `http://${message.headers.host}`);
    const sent = body === '' ? Object.fromEntries(url.searchParams) : JSON.parse(body);
    response.end(JSON.stringify(page(sent, url.origin)));
    void all;
  });
}

t.test('pages by offset and by number end with an empty page, or where all have come', async (t) => {
  const all = names(25);
  const { url, requests } = await servePages(t, all, ({ offset, page, limit = 10 }) => {
    // The server gives no more than ten, whatever is asked for.
    const from = offset === undefined ? (Number(page) - 1) * 10 : Number(offset);
    return { data: rowsOf(all.slice(from, from + Math.min(10, Number(limit)))), total: all.length };
  });
  for (const [mode, requested] of [
    [{ mode: 'offset', size: 50 }, 4],
    [{ mode: 'offset', size: 50, total: 'total' }, 3],
    [{ mode: 'page' }, 4],
    [{ mode: 'page', total: 'total' }, 3],
  ] as const) {
    requests.length = 0;
    const { error, values, batches } = await pulled(t, { url: `${url}/list?x=1`, paging: mode });
    t.equal(error, null);
    t.strictSame(values, all);
    t.equal(batches.filter(({ last }) => last).length, 1);
    t.equal(requests.length, requested, JSON.stringify(mode));
    t.match(requests[0]?.message.url, /x=1/);
  }
  requests.length = 0;
  const { values } = await pulled(t, {
    url,
    body: { query: 'all' },
    paging: { mode: 'offset', size: 10, size_parameter: 'count' },
  });
  t.strictSame(values, all);
  t.strictSame(JSON.parse(requests[1]?.body ?? ''), { query: 'all', count: 10, offset: 10 });
});

t.test('a cursor that names the walk and not the page is read to the total, and no further', async (t) => {
  const all = names(25);
  let walked = 0;
  const { url, requests } = await servePages(t, all, ({ scroll }) => {
    walked = scroll === undefined ? 10 : walked + 10;
    // As GreyNoise: the token stands in the last page as well.
    return { data: rowsOf(all.slice(walked - 10, walked)), meta: { scroll: 'walk-1', count: all.length } };
  });
  const paging = { mode: 'cursor', parameter: 'scroll', next: 'meta.scroll' };
  const { error, values } = await pulled(t, { url, paging: { ...paging, total: 'meta.count' } });
  t.equal(error, null);
  t.strictSame(values, all);
  t.equal(requests.length, 3);
  const without = await pulled(t, { url, paging });
  t.match(
    without.error,
    { message: /names a page as the next that came before/ },
    'without a total it may be a circle',
  );
});

t.test('pages by cursor and by link end where none is given', async (t) => {
  const all = names(25);
  const { url } = await servePages(t, all, ({ cursor, after, p = 0 }, origin) => {
    const from = Number(after ?? cursor ?? p);
    const next = from + 10 < all.length ? from + 10 : null;
    return {
      data: rowsOf(all.slice(from, from + 10)),
      meta: { next },
      next: next === null ? null : `${origin}/list?p=${next}`,
    };
  });
  const cases = [
    { mode: 'cursor', next: 'meta.next' },
    { mode: 'cursor', next: '$.meta.next', parameter: 'after' },
    { mode: 'link', next: 'next' },
  ];
  for (const paging of cases) {
    const { error, values } = await pulled(t, { url: `${url}/list`, paging });
    t.equal(error, null);
    t.strictSame(values, all, JSON.stringify(paging));
  }
});

t.test('a Link header names the next page', async (t) => {
  const { url, requests } = await serve(t, ({ message }, response) => {
    const page = Number(new URL(message.url ?? '', 'http://x').searchParams.get('p') ?? 0);
    const links = [`<?p=9>; rel="last"`, ...(page < 2 ? [`<?p=${page + 1}>; title="a"; rel="prefetch next"`] : [])];
    response.writeHead(200, { link: links.join(', ') });
    response.end(JSON.stringify({ data: rowsOf([`${page}.example`]) }));
  });
  const { error, values } = await pulled(t, { url: `${url}/list`, key: new Secret('k'), paging: { mode: 'link' } });
  t.equal(error, null);
  t.strictSame(values, ['0.example', '1.example', '2.example']);
  t.match(requests[2]?.message.headers, { authorization: 'Bearer k' });
});

t.test('pages that turn in a circle, repeat or never end are refused, and the pull is not whole', async (t) => {
  const same = await servePages(t, [], () => ({ data: rowsOf(['a.example']), next: 'again' }));
  const endless = await servePages(t, [], ({ offset = '0', cursor = '0' }) => ({
    data: rowsOf([`${offset}-${cursor}.example`]),
    next: String(Number(cursor) + 1),
  }));
  let turn = 0;
  const circle = await servePages(t, [], () => {
    turn += 1;
    return { data: rowsOf([`${turn}.example`]), next: turn % 2 === 0 ? 'a' : 'b' };
  });
  const cases: [string, object, string, RegExp][] = [
    [same.url, { mode: 'offset' }, 'upstream-malformed', /is the page before once more/],
    [same.url, { mode: 'page' }, 'upstream-malformed', /is the page before once more/],
    [circle.url, { mode: 'cursor', next: 'next' }, 'upstream-malformed', /names a page as the next that came before/],
    [endless.url, { mode: 'offset', max_pages: 3 }, 'upstream-too-large', /max_pages/],
    [endless.url, { mode: 'cursor', next: 'next', max_rows: 3 }, 'upstream-too-large', /max_rows/],
  ];
  for (const [url, paging, code, message] of cases) {
    const { error, batches } = await pulled(t, { url, paging });
    t.match(error, { code, message }, JSON.stringify(paging));
    t.notOk(batches.some(({ last }) => last));
  }
});

t.test('a page does not lead the key to another host', async (t) => {
  const links = ['http://elsewhere.example/list', 'ftp://127.0.0.1/', 'http://u:p@127.0.0.1/', 'http://'];
  for (const link of links) {
    const { url } = await servePages(t, [], () => ({ data: rowsOf(['a.example']), next: link }));
    const { error } = await pulled(t, { url, key: new Secret('k'), paging: { mode: 'link', next: 'next' } });
    t.match(error, { code: 'upstream-malformed', message: /gives its next page at/ }, link);
  }
  const { url, requests } = await servePages(t, [], ({ p }, origin) => ({
    data: rowsOf([`${p}.example`]),
    next: p === undefined ? `${origin}/?p={secret:A}` : null,
  }));
  const secrets = { A: new Secret('topsecret') };
  const { error } = await pulled(t, {
    url,
    headers: { a: '{secret:A}' },
    secrets,
    paging: { mode: 'link', next: 'next' },
  });
  t.equal(error, null);
  t.notMatch(requests[1]?.message.url, 'topsecret', 'what an upstream writes is no placeholder');
});

t.test('where the first page comes from a copy, so do the others', async (t) => {
  const { url, requests } = await serve(t, ({ message }, response) => {
    if (message.url?.startsWith('/subscribed')) response.writeHead(504);
    const page = Number(new URL(message.url ?? '', 'http://x').searchParams.get('page'));
    response.end(JSON.stringify({ data: page > 2 ? [] : rowsOf([`${page}.example`]) }));
  });
  const { error, values, batches } = await pulled(t, {
    url: `${url}/subscribed`,
    fallback_urls: [`${url}/activity`],
    paging: { mode: 'page' },
  });
  t.equal(error, null);
  t.strictSame(values, ['1.example', '2.example']);
  t.match(batches.at(-1)?.note, /answered 504.*was read in its place/);
  t.equal(requests.filter(({ message }) => message.url?.startsWith('/activity')).length, 3);
});

t.test('a page that fails on the way leaves the pull not whole', async (t) => {
  const { url } = await serve(t, ({ message }, response) => {
    if (message.url?.includes('page=2')) response.writeHead(400);
    response.end(JSON.stringify({ data: rowsOf(['a.example']) }));
  });
  const { error, batches } = await pulled(t, { url, paging: { mode: 'page' } });
  t.match(error, { code: 'upstream-failed' });
  t.notOk(batches.some(({ last }) => last));
});

t.test('a delta asks for what came since its last whole pull began', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const { url, requests } = await serve(t, (_, response) => {
    clock.set(clock.now() + 60 * MICROS_PER_SECOND);
    response.end('{"data":[]}');
  });
  const minutes = (n: number): Micros => n * 60 * MICROS_PER_SECOND;
  const since = { format: 'rfc3339', lookback: 7 * 86_400_000, overlap: 600_000 };
  const bench = await openFeedBench(t, json, { ...fields, url: `${url}/?since={since}`, since }, { clock });
  t.equal(json.defaults(bench.context().options).mode, 'delta');
  const asked = () => new URL(requests.at(-1)?.message.url ?? '', url).searchParams.get('since');
  const began = clock.now();
  const first = await pull(json, bench.context());
  t.equal(asked(), formatMillis(began - minutes(7 * 24 * 60)));
  clock.set(began + minutes(60));
  const second = await pull(json, bench.context({ cursor: first.cursor }));
  t.equal(asked(), formatMillis(began - minutes(10)), 'from where the last began, and a little before');
  t.equal(second.batches.at(-1)?.gap, null);
  clock.set(began + minutes(30 * 24 * 60));
  const late = await pull(json, bench.context({ cursor: second.cursor }));
  t.equal(asked(), formatMillis(began + minutes(23 * 24 * 60)), 'no further back than lookback');
  t.strictSame(late.batches.at(-1)?.gap, { from: began + minutes(60), to: began + minutes(23 * 24 * 60) });
  clock.set(began);
  const ahead = await pull(json, bench.context({ cursor: late.cursor }));
  t.match(ahead.batches.at(-1)?.note, /lay ahead of our clock/);
  t.equal(asked(), formatMillis(began - minutes(7 * 24 * 60)));
});

t.test('the time is written as the upstream wants it', async (t) => {
  const { url, requests } = await serve(t, (_, response) => void response.end('{"data":[]}'));
  const expected = { date: /^\d{4}-\d\d-\d\d$/, unix: /^\d{10}$/, 'unix-ms': /^\d{13}$/, days: /^7$/ };
  for (const [format, pattern] of Object.entries(expected)) {
    const since = { format, lookback: 7 * 86_400_000, overlap: 600_000 };
    const { error } = await pulled(t, { url, body: { days: '{since}', text: 'x{since}' }, since });
    t.equal(error, null);
    const { days, text } = JSON.parse(requests.at(-1)?.body ?? '');
    t.match(String(days), pattern);
    t.equal(typeof days, format === 'date' ? 'string' : 'number', 'a number stays one');
    t.equal(text, `x${days}`);
  }
});

t.test('a failed pull moves no bookmark, and a cursor of another question is none', async (t) => {
  let isDown = true;
  const { url } = await serve(
    t,
    (_, response) => void response.end(isDown ? '{"data":[{"value":"a.example"},' : '{"data":[]}'),
  );
  const since = { format: 'unix', lookback: 86_400_000, overlap: 0 };
  const options = { ...fields, url: `${url}/?since={since}`, since };
  const bench = await openFeedBench(t, json, options);
  t.equal((await pull(json, bench.context())).cursor, null);
  isDown = false;
  const { cursor } = await pull(json, bench.context());
  t.ok(cursor);
  const other = await openFeedBench(
    t,
    json,
    { ...options, url: `${url}/other?since={since}` },
    { clock: bench.clock, writer: bench.writer },
  );
  const { error, batches } = await pull(json, other.context({ cursor }));
  t.equal(error, null);
  t.equal(batches.at(-1)?.gap, null);
});

t.test('bundles of STIX come in pages too', async (t) => {
  const objects = Array.from({ length: 5 }, (_, n) => ({ type: 'x-a', id: `x-a--${uuidOf(String(n))}` }));
  const { url, requests } = await serve(t, ({ message }, response) => {
    const from = Number(new URL(message.url ?? '', 'http://x').searchParams.get('next') ?? 0);
    const more = from + 2 < objects.length;
    const page = { type: 'bundle', objects: objects.slice(from, from + 2), more, next: more ? from + 2 : null };
    response.end(JSON.stringify(page, null, 2));
  });
  const options = { url, headers: { 'x-a': '{secret:A}' }, secrets: { A: new Secret('secret') } };
  for (const paging of [
    { mode: 'cursor', next: 'next', parameter: 'next' },
    { mode: 'offset', parameter: 'next' },
  ]) {
    const bench = await openFeedBench(t, stix, { ...options, paging });
    const { error, items, batches } = await pull(stix, bench.context());
    t.equal(error, null);
    t.strictSame(
      items,
      objects.map((object) => ({ stix: object })),
    );
    t.ok(batches.at(-1)?.last);
  }
  t.match(requests.at(-1)?.message.headers, { 'x-a': 'secret' });
  const bench = await openFeedBench(t, stix, { url, paging: { mode: 'page' } });
  t.match((await pull(stix, bench.context())).error, { message: /is the page before once more/ });
});

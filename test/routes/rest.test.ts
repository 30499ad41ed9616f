// slow (8 s): collections of thousands of rows
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import type { RouteParts } from '../../routes/parts.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { defaultReach } from '../../src/model/definition.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { jsonText } from '../../src/model/json.ts';
import { observableKey } from '../../src/model/observable.ts';
import { formatMicros } from '../../src/model/timestamp.ts';
import type { Tlp } from '../../src/model/tlp.ts';
import { canonical } from '../../src/normalise/canonical.ts';
import { client, openApp, type TestApp } from '../helpers/app.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway } from '../helpers/gateway.ts';
import { indicatorEntry, objectEntry, START, uuidOf } from '../helpers/store.ts';

const IOCS = '/api/v1/iocs';
const claims = (category: string) => jsonText([{ feed: 'soc', feed_name: 'SOC', category }]);

/** Forty hosts, ten addresses, in order h0 … h39, 192.0.2.0 … 9; confidence and category go round. */
async function fill({ append }: TestApp): Promise<IndicatorEntry[]> {
  const words = ['government', 'commercial', 'Community', 'news'];
  const entries = Array.from({ length: 50 }, (_, i) =>
    indicatorEntry({
      ...(i < 40 ? { value: `h${i}.example` } : { type: 'ipv4' as const, value: `192.0.2.${i - 40}` }),
      confidence: [90, 50, 10, 0, null][i % 5] ?? null,
      sources: claims(words[i % 4] as string),
    }),
  );
  return append(entries);
}

const valuesOf = (reply: { json(): any }): string[] => reply.json().data.map((row: any) => row.value);
const idsOf = (objects: any[]): string[] => objects.map(({ id }) => id);

/** Every page by `links.next`. */
async function walk(t: Test, { ask }: TestApp, url: string): Promise<string[]> {
  const values: string[] = [];
  for (let link: string | null = url; link !== null; ) {
    const reply = await ask(link);
    t.equal(reply.statusCode, 200, reply.body.slice(0, 200));
    const { data, links, meta } = reply.json();
    t.equal(meta.more, links.next !== null);
    t.equal(reply.headers.link, links.next === null ? undefined : `<${links.next}>; rel="next"`);
    values.push(...data.map((row: any) => row.value));
    link = links.next;
  }
  return values;
}

t.test('iocs: newest entry first, the live set only, in the shape of the guide’s poller', async (t) => {
  const app = await openApp(t);
  const entries = await fill(app);
  const newest = entries.map(({ value }) => value).reverse();
  t.strictSame(valuesOf(await app.ask(`${IOCS}?limit=1000`)), newest);
  t.strictSame(valuesOf(await app.ask(`${IOCS}?type=ipv4&limit=1000`)), newest.slice(0, 10), 'the guide’s own request');
  const [row] = (await app.ask(`${IOCS}?limit=1`)).json().data;
  t.match(row, { value: '192.0.2.9', type: 'ipv4', source: { feed_name: 'SOC' } });
  // One changes and comes to the front, one goes.
  const [changed, gone] = [entries[3], entries[45]] as [IndicatorEntry, IndicatorEntry];
  await app.append([{ ...changed, confidence: 99 }], [changed.dateAdded]);
  await app.append([{ ...gone, revoked: true, reason: 'vanished' as const }], [gone.dateAdded]);
  const now = valuesOf(await app.ask(`${IOCS}?limit=1000`));
  t.equal(now[0], changed.value);
  t.equal(now.length, 49);
  t.notOk(now.includes(gone.value));
});

t.test('iocs: limit, offset and cursor reach everything once', async (t) => {
  const app = await openApp(t);
  const newest = (await fill(app)).map(({ value }) => value).reverse();
  for (const limit of [1, 7, 49, 50, 51])
    t.strictSame(await walk(t, app, `${IOCS}?limit=${limit}`), newest, `limit ${limit}`);
  const paged: string[] = [];
  for (let offset = 0; offset < 60; offset += 20)
    paged.push(...valuesOf(await app.ask(`${IOCS}?limit=20&offset=${offset}`)));
  t.strictSame(paged, newest, 'by offset, as SOC Defenders’ clients do');
  t.strictSame(await walk(t, app, `${IOCS}?limit=9&offset=30`), newest.slice(30), 'an offset, then cursors');
  t.strictSame(valuesOf(await app.ask(`${IOCS}?offset=10000`)), []);
  t.strictSame((await app.ask(`${IOCS}?limit=1`)).json().meta.total, 50);
  t.strictSame((await app.ask(`${IOCS}?limit=1&type=ipv4`)).json().meta.total, 10);
  const since = encodeURIComponent(formatMicros(START - MICROS_PER_DAY));
  for (const [query, total, relation] of [
    ['limit=1&confidence=high', 10, 'eq'],
    ['limit=1&offset=3&confidence=high', 10, 'eq'],
    ['limit=1&offset=30&confidence=high', 10, 'eq'],
    ['confidence=high', 10, 'eq'],
    [`limit=7&since=${since}`, 50, 'eq'],
    ['category=news&limit=100', 12, 'eq'],
    ['category=news&limit=5&offset=2', 8, 'gte'],
    ['category=news&limit=5&offset=40', 0, 'gte'],
    ['type=mitre_attack', 0, 'eq'],
  ] as const) {
    const { meta, links } = (await app.ask(`${IOCS}?${query}`)).json();
    t.match(meta, { total, total_relation: relation }, query);
    if (links.next === null) continue;
    const second = (await app.ask(links.next)).json().meta;
    if (relation === 'eq') t.match(second, { total, total_relation: relation }, `${query}, behind a cursor`);
  }
  // As SOC Defenders' own clients walk.
  const walked: string[] = [];
  for (let offset = 0, total = 1; offset < total; offset += 5) {
    const page = await app.ask(`${IOCS}?category=news&limit=5&offset=${offset}`);
    walked.push(...valuesOf(page));
    ({ total } = page.json().meta);
  }
  t.equal(new Set(walked).size, 12, 'until the total is reached');
});

t.test('iocs: a cursor goes on where it was, whatever is added, changed or withdrawn meanwhile', async (t) => {
  const app = await openApp(t);
  const entries = await fill(app);
  const first = (await app.ask(`${IOCS}?limit=10`)).json();
  const [changed, gone] = [entries[0], entries[1]] as [IndicatorEntry, IndicatorEntry];
  await app.append(
    [indicatorEntry({ value: 'new.example' }), { ...changed, confidence: 1 }],
    [null, changed.dateAdded],
  );
  await app.append([{ ...gone, revoked: true, reason: 'vanished' as const }], [gone.dateAdded]);
  const seen = [...first.data.map((row: any) => row.value), ...(await walk(t, app, first.links.next))];
  const still = entries
    .slice(2)
    .map(({ value }) => value)
    .reverse();
  t.strictSame(seen, still, 'what stood still came once, what was withdrawn did not');
  const since = encodeURIComponent(formatMicros(entries.at(-1)?.dateAdded ?? 0));
  t.strictSame(
    valuesOf(await app.ask(`${IOCS}?since=${since}`)),
    [changed.value, 'new.example'],
    'the next since has the rest',
  );
});

t.test('iocs: every filter, alone, together, and through pages', async (t) => {
  const app = await openApp(t);
  const entries = await fill(app);
  const expect = (admits: (entry: IndicatorEntry, i: number) => boolean) =>
    entries
      .filter(admits)
      .map(({ value }) => value)
      .reverse();
  const time = (i: number) => encodeURIComponent(formatMicros(entries[i]?.dateAdded ?? 0));
  const cases: [string, string[]][] = [
    ['type=domain', expect((_, i) => i < 40)],
    ['type=url', []],
    ['type=mitre_attack', []],
    ['type=mitre-attack', []],
    ['confidence=high', expect((_, i) => i % 5 === 0)],
    ['confidence=medium', expect((_, i) => i % 5 === 1)],
    ['confidence=low', expect((_, i) => i % 5 === 2)],
    ['category=news', expect((_, i) => i % 4 === 3)],
    ['category=community', expect((_, i) => i % 4 === 2)],
    ['category=GOVERNMENT', expect((_, i) => i % 4 === 0)],
    ['category=nobody', []],
    [`since=${time(9)}`, expect((_, i) => i > 9)],
    [`until=${time(9)}`, expect((_, i) => i <= 9)],
    [`since=${time(9)}&until=${time(19)}`, expect((_, i) => i > 9 && i <= 19)],
    [`since=${time(19)}&until=${time(9)}`, []],
    [`since=${formatMicros(entries[9]?.dateAdded ?? 0).replace('Z', '+00:00')}`, expect((_, i) => i > 9)],
    ['since=9999-12-31T23:59:59.999999999Z', []],
    ['until=9999-12-31T23:59:59.999999999Z', expect(() => true)],
    ['collection=ips', expect((_, i) => i >= 40)],
    ['collection=ips&type=domain', []],
    ['category=news&confidence=high&type=domain', expect((_, i) => i % 4 === 3 && i % 5 === 0 && i < 40)],
    [`category=news&until=${time(30)}`, expect((_, i) => i % 4 === 3 && i <= 30)],
  ];
  for (const [query, expected] of cases) {
    t.strictSame(await walk(t, app, `${IOCS}?${query}`), expected, query);
    t.strictSame(await walk(t, app, `${IOCS}?${query}&limit=3`), expected, `${query}, in threes`);
    t.strictSame(valuesOf(await app.ask(`${IOCS}?${query}&offset=2`)), expected.slice(2), `${query}, from the third`);
  }
  const next = (await app.ask(`${IOCS}?confidence=high&limit=3`)).json().links.next as string;
  t.match(next, /cursor=/);
  const cursor = new URL(next, 'http://x').searchParams.get('cursor');
  t.strictSame(
    valuesOf(await app.ask(`${IOCS}?limit=100&cursor=${cursor}`)),
    expect((_, i) => i % 5 === 0).slice(3),
    'a cursor alone still carries the filters',
  );
});

t.test(
  'iocs: a long page is written in slices, and a category that nobody has costs no more than the rows',
  async (t) => {
    const app = await openApp(t);
    const entries = Array.from({ length: 2300 }, (_, i) =>
      indicatorEntry({ value: `x${i}.example`, sources: claims(i % 1000 === 0 ? 'rare' : 'news') }),
    );
    await app.append(entries);
    const newest = entries.map(({ value }) => value).reverse();
    t.strictSame(valuesOf(await app.ask(`${IOCS}?limit=10000`)), newest);
    t.strictSame(await walk(t, app, `${IOCS}?limit=1100`), newest);
    t.strictSame(await walk(t, app, `${IOCS}?category=rare&limit=1`), ['x2000.example', 'x1000.example', 'x0.example']);
    t.strictSame(await walk(t, app, `${IOCS}?category=none`), []);
  },
);

t.test('iocs: format decides over Accept, and each format has its type and X-TLP', async (t) => {
  const app = await openApp(t);
  await fill(app);
  const cases: [string, string | undefined, string][] = [
    ['', undefined, 'application/json; charset=utf-8'],
    ['', '*/*', 'application/json; charset=utf-8'],
    ['', 'text/csv', 'text/csv; charset=utf-8'],
    ['', 'text/plain', 'text/plain; charset=utf-8'],
    ['', 'text/*', 'text/csv; charset=utf-8'],
    ['', 'text/plain;q=0.5, text/csv;q=0.4', 'text/plain; charset=utf-8'],
    ['', 'application/json;q=0, */*', 'text/csv; charset=utf-8'],
    ['', 'text/html, application/xhtml+xml, */*;q=0.8', 'application/json; charset=utf-8'],
    ['format=csv', 'application/json', 'text/csv; charset=utf-8'],
    ['format=txt', 'image/png', 'text/plain; charset=utf-8'],
    ['format=json', 'text/csv', 'application/json; charset=utf-8'],
  ];
  for (const [query, accept, type] of cases) {
    const reply = await app.ask(`${IOCS}?limit=3&${query}`, accept === undefined ? {} : { headers: { accept } });
    t.equal(reply.headers['content-type'], type, `${query} ${accept}`);
    t.equal(reply.headers['x-tlp'], 'TLP:AMBER');
    t.match(reply.headers.link, /rel="next"/);
    const head = await app.ask(`${IOCS}?limit=3&${query}`, {
      method: 'HEAD',
      ...(accept === undefined ? {} : { headers: { accept } }),
    });
    t.strictSame([head.statusCode, head.headers['content-type'], head.body], [200, type, '']);
    t.equal(head.headers['content-length'], undefined, 'no length that GET does not have (RFC 9110 section 8.6)');
  }
  t.equal((await app.ask(`${IOCS}?format=txt&limit=2`)).body, '192.0.2.9\n192.0.2.8\n');
  t.equal((await app.ask(`${IOCS}?format=txt&type=url`)).body, '', 'an empty list is a list');
});

t.test('answers come in the coding that the client prefers, streamed or not', async (t) => {
  const app = await openApp(t);
  await fill(app);
  const decode = { gzip: gunzipSync, zstd: zstdDecompressSync } as const;
  const iocs = Array.from({ length: 60 }, (_, i) => `h${i}.example`);
  const asks: [string, { method?: string; body?: unknown }][] = [
    [`${IOCS}?limit=40`, {}],
    [`${IOCS}?format=csv`, {}],
    [`${IOCS}/stix?format=ndjson`, {}],
    [`${IOCS}/stix?limit=30`, {}],
    ['/api/v1/lookup', { method: 'POST', body: { iocs } }],
  ];
  const plainly = (text: string) => text.replace(/"(?:generated_at|id)":"[^"]*"/g, '');
  for (const [url, options] of asks) {
    const plain = await app.ask(url, options);
    t.equal(plain.headers['content-encoding'], undefined, `${url}: as it is to who does not ask`);
    t.match(plain.headers.vary, /Accept-Encoding/, url);
    for (const coding of ['gzip', 'zstd'] as const) {
      const headers = { 'accept-encoding': coding };
      const coded = await app.ask(url, { ...options, headers });
      t.equal(coded.headers['content-encoding'], coding, url);
      t.equal(plainly(decode[coding](coded.rawPayload).toString()), plainly(plain.body), `${url} ${coding}`);
      const length = coded.headers['content-length'];
      t.ok(length === undefined || Number(length) === coded.rawPayload.length, 'a length is that of what is sent');
      const head = await app.ask(url.includes('lookup') ? IOCS : url, { method: 'HEAD', headers });
      t.strictSame([head.headers['content-encoding'], head.body], [coding, '']);
    }
  }
  const refused = await app.ask(IOCS, { headers: { 'accept-encoding': 'br;q=1, *;q=0' } });
  t.equal(refused.statusCode, 406);
  t.equal((await app.ask(`${IOCS}?limit=x`, { headers: { 'accept-encoding': 'gzip' } })).json().status, 400);
});

t.test('the client’s rate is in SOC Defenders’ header fields too', async (t) => {
  const app = await openApp(t, {}, { slc_slow: client({ name: 'slow', rate: { max: 2, per: 60_000 } }) });
  const headers = { authorization: 'Bearer slc_slow' };
  const reset = String(START / MICROS_PER_SECOND + 60);
  for (const [status, remaining] of [
    [200, '1'],
    [200, '0'],
    [429, '0'],
  ] as const) {
    const reply = await app.ask(IOCS, { headers });
    t.equal(reply.statusCode, status);
    t.match(reply.headers, {
      'x-ratelimit-limit': '2',
      'x-ratelimit-remaining': remaining,
      'x-ratelimit-reset': reset,
      'ratelimit-remaining': remaining,
    });
  }
});

t.test('iocs: a slow reader of a page delays neither the store nor other readers', async (t) => {
  const app = await openApp(t);
  await app.append(
    Array.from({ length: 6000 }, (_, i) => indicatorEntry({ value: `${'long'.repeat(12)}${i}.example` })),
  );
  let slices = 0;
  const { reader } = app;
  const counting: RouteParts['reader'] = {
    ...reader,
    live: (query) => {
      slices += 1;
      return reader.live(query);
    },
  };
  const slow = await openApp(t, { reader: counting });
  await slow.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = slow.app.server.address() as { port: number };
  const reply = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const options = { port, path: `${IOCS}?limit=6000`, headers: { authorization: 'Bearer slc_reader' } };
    httpRequest(options, resolve).on('error', reject).end();
  });
  const planned = slices;
  // The journal moves on while the reader has only read the head.
  await app.append([indicatorEntry({ value: 'meanwhile.example' })]);
  await app.writer.transaction((tx) => tx.setPolicyHash('pool:main', 'changed'));
  t.equal((await slow.ask(`${IOCS}?limit=1`)).json().data[0].value, 'meanwhile.example', 'others read on');
  let text = '';
  for await (const chunk of reply) text += chunk;
  const { data } = JSON.parse(text);
  t.equal(data.length, 6000);
  t.ok(slices - planned > 2, `${slices - planned} slices were read after the answer had begun`);
});

t.test('stix: a reader that disconnects ends the reading of the store, in every coding', async (t) => {
  const store = await openApp(t);
  await store.append(Array.from({ length: 8000 }, (_, i) => indicatorEntry({ value: `${randomUUID()}${i}.example` })));
  for (const coding of ['identity', 'gzip', 'zstd']) {
    let pages = 0;
    const closed = Promise.withResolvers<void>();
    const reader: RouteParts['reader'] = {
      ...store.reader,
      page: async (query) => {
        pages += 1;
        // By then the first slices are on their way, and the reader has gone.
        if (pages === 5) await closed.promise;
        return store.reader.page(query);
      },
    };
    const { app } = await openApp(t, { reader });
    await app.listen({ host: '127.0.0.1', port: 0 });
    app.server.on('connection', (socket) => socket.on('close', () => closed.resolve()));
    const { port } = app.server.address() as { port: number };
    const headers = { authorization: 'Bearer slc_reader', 'accept-encoding': coding };
    const asked = httpRequest({ port, path: `${IOCS}/stix`, headers }, (reply) => {
      reply.on('error', () => undefined);
      reply.once('data', () => asked.destroy());
    });
    asked.on('error', () => undefined).end();
    await closed.promise;
    for (let i = 0; i < 100; i += 1) await new Promise((resolve) => setImmediate(resolve));
    t.ok(pages <= 7, `${coding}: ${pages} of 17 slices were read`);
    t.equal((await app.inject({ url: '/healthz' })).statusCode, 200);
  }
});

t.test('iocs: collections that the caller may not read are answered as unknown', async (t) => {
  const app = await openApp(t, {}, { slc_ips: client({ name: 'ips', collections: ['ips'] }) });
  await fill(app);
  await app.append([indicatorEntry({ value: 'red.example', tlp: 'red' })], [], 'pool:red');
  const headers = { authorization: 'Bearer slc_ips' };
  t.equal((await app.ask(`${IOCS}?collection=ips`, { headers })).json().data.length, 10);
  const refused = (await app.ask(`${IOCS}?collection=all`, { headers })).json();
  const unknown = (await app.ask(`${IOCS}?collection=nope`, { headers })).json();
  const { request_id: _, ...said } = refused.error;
  t.match(unknown.error, said, 'worded like one that never was');
  t.equal((await app.ask(IOCS, { headers })).statusCode, 404, 'the standard collection neither');
});

t.test('stix: the live objects of a collection, as one bundle or as lines, with its producer objects', async (t) => {
  const app = await openApp(t);
  const [producer] = await app.append([
    objectEntry({ stixType: 'identity', isProducerObject: true, name: 'producer' }),
  ]);
  const entries = await fill(app);
  const [other] = await app.append([objectEntry({ stixType: 'relationship', name: 'r' })]);
  const gone = entries[0] as IndicatorEntry;
  await app.append([{ ...gone, revoked: true, reason: 'vanished' as const }], [gone.dateAdded]);
  const bundle = await app.ask(`${IOCS}/stix`);
  t.equal(bundle.headers['content-type'], 'application/stix+json;version=2.1');
  const { type, objects } = bundle.json();
  t.equal(type, 'bundle');
  const standing = entries.slice(1).map(({ objectId }) => objectId);
  t.strictSame(idsOf(objects), [producer?.objectId, ...standing, other?.objectId]);
  t.ok(objects.every((object: any) => object.revoked !== true));
  const lines = await app.ask(`${IOCS}/stix`, { headers: { accept: 'application/x-ndjson' } });
  t.strictSame(
    lines.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    objects,
  );
  t.equal((await app.ask(`${IOCS}/stix`, { headers: { accept: 'application/json' } })).json().type, 'bundle');
  const time = encodeURIComponent(formatMicros(entries[9]?.dateAdded ?? 0));
  const filters: [string, string[]][] = [
    ['type=ipv4', standing.slice(-10)],
    ['collection=ips', standing.slice(-10)],
    ['confidence=high', entries.filter((_, i) => i > 0 && i % 5 === 0).map(({ objectId }) => objectId)],
    ['category=news', entries.filter((_, i) => i % 4 === 3).map(({ objectId }) => objectId)],
    [`until=${time}`, entries.slice(1, 10).map(({ objectId }) => objectId)],
  ];
  for (const [query, expected] of filters) {
    const found = idsOf((await app.ask(`${IOCS}/stix?${query}`)).json().objects);
    t.strictSame(found, [producer?.objectId, ...expected], `${query}: the producer objects and the rest`);
    const body = Object.fromEntries(new URLSearchParams(query));
    const posted = await app.ask(`${IOCS}/stix`, { method: 'POST', body });
    t.strictSame(idsOf(posted.json().objects), found, `${query}, asked in a body`);
  }
});

t.test(
  'stix: pages follow the journal, withdrawals included, and hold what Elastic’s plain REST mode needs',
  async (t) => {
    const app = await openApp(t);
    const entries = await fill(app);
    const url = `${IOCS}/stix?limit=7`;
    const follow = async (start: string): Promise<{ ids: string[]; last: string }> => {
      const ids: string[] = [];
      for (let at = start; ; ) {
        const reply = await app.ask(at);
        const page = reply.json();
        t.equal(reply.headers['content-type'], 'application/json; charset=utf-8');
        t.ok(Array.isArray(page.objects), 'objects is always there');
        t.equal(page.more, page.next !== undefined, 'next is absent on the last page');
        ids.push(...idsOf(page.objects));
        if (!page.more) return { ids, last: reply.headers['x-taxii-date-added-last'] as string };
        at = `${url}&next=${page.next}`;
      }
    };
    const first = await follow(url);
    t.strictSame(
      first.ids,
      entries.map(({ objectId }) => objectId),
    );
    const quiet = await app.ask(`${url}&since=${first.last}`);
    t.strictSame(quiet.json(), { more: false, objects: [] }, 'nothing new');
    t.equal(quiet.headers['x-taxii-date-added-last'], first.last, 'and the reader stays where it is');
    const gone = entries[5] as IndicatorEntry;
    await app.append([{ ...gone, revoked: true, reason: 'vanished' as const }], [gone.dateAdded]);
    const { objects } = (await app.ask(`${url}&since=${first.last}`)).json();
    t.match(objects, [{ id: gone.objectId, revoked: true }], 'a withdrawal is told');
    const typed = (await app.ask(`${url}&type=ipv4`)).json();
    const rest = (await app.ask(`${url}&next=${typed.next}`)).json();
    t.equal(typed.objects.length + rest.objects.length, 10, 'next carries the type');
    t.equal(
      (await app.ask(`${url}&type=domain&next=${typed.next}`)).statusCode,
      400,
      'and is no token of another question',
    );
    t.strictSame(
      (await app.ask(`${url}&collection=ips&next=${typed.next}`)).json(),
      (await app.ask(`${url}&collection=ips`)).json(),
      'another collection begins anew',
    );
    t.equal((await app.ask(`${url}&collection=ips&next=${typed.next}x`)).statusCode, 400);
    t.same((await app.ask(`${url}&since=0001-01-01T00:00:00Z`)).json().objects.length, 7, 'since no time: everything');
    const posted = (await app.ask(`${IOCS}/stix`, { method: 'POST', body: { limit: 7 } })).json();
    t.strictSame(posted.objects, (await app.ask(url)).json().objects, 'a body asks the same');
    const next = (await app.ask(`${IOCS}/stix`, { method: 'POST', body: { limit: 7, next: posted.next } })).json();
    t.equal(next.objects.length, 7);
  },
);

t.test('lookup: any spelling of a value that is live or was withdrawn', async (t) => {
  const app = await openApp(t);
  const url = { type: 'url', value: 'http://evil.com/a' } as const;
  const fingerprint = 'a'.repeat(64);
  const [, , gone] = await app.append([
    indicatorEntry({ value: 'evil.com' }),
    indicatorEntry({ ...url, key: observableKey(url) }),
    indicatorEntry({ value: 'gone.com', revoked: true, reason: 'vanished' }),
    indicatorEntry({ type: 'x509', value: fingerprint }),
    indicatorEntry({ type: 'ipv4', value: '198.51.100.0/24' }),
    indicatorEntry({ type: 'ipv4', value: '198.51.100.7' }),
    indicatorEntry({ type: 'ipv6', value: '2001:db8::/32' }),
    indicatorEntry({ value: 'made.up' }),
  ]);
  const look = async (ioc: string, more = '') =>
    (await app.ask(`/api/v1/lookup?ioc=${encodeURIComponent(ioc)}${more}`)).json().data[0];
  for (const spelling of ['evil.com', 'EVIL.com.', 'evil[.]com', ' evil(dot)com ']) {
    t.match(await look(spelling), { ioc: spelling, type: 'domain', value: 'evil.com', found: true }, spelling);
  }
  t.match(await look('hxxp://evil[.]com/a'), {
    found: true,
    value: url.value,
    matches: [{ type: 'url', match: 'exact' }],
  });
  const { matches } = await look('gone.com');
  t.match(matches, [
    { status: 'withdrawn', withdrawn: { reason: 'vanished' }, collections: ['all'], id: gone?.objectId.slice(11) },
  ]);
  t.match((await look('evil.com')).matches, [{ status: 'live', source: { feed_name: 'House' }, collections: ['all'] }]);
  t.match((await look(fingerprint)).matches, [{ type: 'x509' }], 'what looks like a hash may be a fingerprint');
  t.match((await look('made.up')).matches, [{ value: 'made.up' }], 'a suffix that nobody knows is still a name');
  const address = await look('198.51.100.7');
  t.strictSame(
    address.matches.map((match: any) => [match.value, match.match, match.collections]),
    [
      ['198.51.100.7', 'exact', ['all', 'ips']],
      ['198.51.100.0/24', 'network', ['all', 'ips']],
    ],
    'an address, and the network that holds it',
  );
  t.match((await look('2001:DB8:1::9')).matches, [{ value: '2001:db8::/32', match: 'network' }]);
  t.equal((await look('evil.com', '&type=url')).found, false, 'a claim decides what it is');
  for (const unknown of ['unknown.com', 'not a value at all', '192.0.2.1', '-']) {
    t.match(await look(unknown), { found: false, matches: [] }, unknown);
  }
});

t.test('lookup: an address is found in a network of every length that can be served', async (t) => {
  const app = await openApp(t);
  const [four, six] = ['198.51.100.7', '2001:db8:1:2:3:4:5:6'];
  const networks = (address: string, type: 'ipv4' | 'ipv6', longest: number) =>
    Array.from({ length: longest }, (_, i) => canonical(type, `${address}/${i + 1}`)).flatMap((read) =>
      'observable' in read ? [read.observable] : [],
    );
  const all = [...networks(four, 'ipv4', 31), ...networks(six, 'ipv6', 127)];
  t.equal(all.length, 31 + 127);
  await app.append(all.map((network) => indicatorEntry(network)));
  for (const [address, type] of [
    [four, 'ipv4'],
    [six, 'ipv6'],
  ]) {
    const { data } = (await app.ask(`/api/v1/lookup?ioc=${address}`)).json();
    const expected = all.filter((network) => network.type === type).map(({ value }) => value);
    t.strictSame(
      data[0].matches.map(({ value }: any) => value),
      expected.reverse(),
      'the narrowest first',
    );
  }
  t.match((await app.ask('/api/v1/lookup?ioc=127.0.0.1')).json().data[0], {
    value: '127.0.0.1',
    found: false,
  });
});

t.test('lookup: a thousand values at once, answered in order', async (t) => {
  const app = await openApp(t);
  await app.append(Array.from({ length: 50 }, (_, i) => indicatorEntry({ type: 'ipv4', value: `203.0.113.${i}` })));
  const iocs = Array.from({ length: 1000 }, (_, i) => `203.0.${112 + (i >> 8)}[.]${i & 255}`);
  const reply = (await app.ask('/api/v1/lookup', { method: 'POST', body: { iocs } })).json();
  t.strictSame(
    reply.data.map((each: any) => each.ioc),
    iocs,
  );
  t.match(reply.meta, { asked: 1000, found: 50 });
  t.strictSame(
    reply.data
      .filter((each: any) => each.found)
      .map((each: any) => each.matches[0].value)
      .sort(),
    Array.from({ length: 50 }, (_, i) => `203.0.113.${i}`).sort(),
  );
});

t.test('lookup: a value that only others may read is answered as unknown', async (t) => {
  const touched: string[] = [];
  const app = await openApp(
    t,
    { refreshOnRead: (journal) => touched.push(journal) },
    { slc_ips: client({ name: 'ips', collections: ['ips'] }), slc_red: client({ name: 'red', tlp: 'red' }) },
  );
  await app.append([indicatorEntry({ value: 'secret.com', tlp: 'red' })], [], 'pool:red');
  await app.append([indicatorEntry({ value: 'domain.com' })]);
  const look = async (ioc: string, key: string) =>
    (await app.ask(`/api/v1/lookup?ioc=${ioc}`, { headers: { authorization: `Bearer ${key}` } })).json();
  const plain = (answer: any, ioc: string) => JSON.stringify(answer).replaceAll(ioc, 'VALUE');
  const never = plain(await look('nobody.com', 'slc_reader'), 'nobody.com');
  t.equal(plain(await look('secret.com', 'slc_reader'), 'secret.com'), never, 'above the ceiling');
  t.equal(plain(await look('domain.com', 'slc_ips'), 'domain.com'), never, 'of a type that the view leaves out');
  t.strictSame([...new Set(touched)], ['pool:main'], 'the writer hears of what was read, and of nothing else');
  t.equal((await look('secret.com', 'slc_red')).meta.found, 1);
  t.ok(touched.includes('pool:red'));
  t.equal((await look('domain.com', 'slc_reader')).meta.found, 1);
});

t.test(
  'feeds: freshness, errors, budgets and saved requests, of the feeds behind the caller’s collections',
  async (t) => {
    const definition = (name: string) => ({
      name,
      format: 'socdefenders',
      mode: 'delta' as const,
      title: `${name} title`,
      aliases: [],
      every: 900_000,
      confidence: null,
      tlp: 'amber' as const,
      lifetime: {},
      outageLimit: 0,
      shrinkGuard: null,
      emptyAllowed: true,
      reach: defaultReach,
    });
    const account = {
      name: 'https://up.example abc123',
      origin: 'https://up.example',
      allowanceOf: () => ({
        nextRequestAt: START + 5 * MICROS_PER_SECOND,
        windows: [{ seconds: 60, requests: 10, left: 4 }],
      }),
    };
    const asked = { attribution: 'Waiting, Inc.', terms: 'CC BY 4.0', redistribution: 'non-commercial' as const };
    const shared = { ...account, name: 'https://shared.example abc123', origin: 'https://shared.example' };
    const feeds: RouteParts['feeds'] = [
      { definition: definition('fresh'), idle: null, collections: ['all', 'ips'], account },
      { definition: definition('keyless'), idle: 'no-key', collections: ['all'], account: null },
      { definition: definition('secret'), idle: null, collections: ['red'], account: shared },
      { definition: definition('stale'), idle: null, collections: ['all'], account: shared },
      { definition: { ...definition('waiting'), ...asked }, idle: null, collections: ['all'], account: null },
    ];
    const app = await openApp(t, { feeds }, { slc_ips: client({ name: 'ips', collections: ['ips'] }) });
    await app.writer.transaction(async (tx) => {
      await tx.saveAccount({
        account: account.name,
        lastRequestAt: START,
        blockedUntil: START + 9 * MICROS_PER_SECOND,
        windows: {},
        requests: 100,
      });
      await tx.saveFeedState('fresh', {
        succeededAt: START,
        attemptedAt: START,
        nextPollAt: START + 900 * MICROS_PER_SECOND,
        accepted: 5,
        rejected: 1,
      });
      const error = { code: 'upstream-failed' as const, message: 'The upstream answered 502.', at: START };
      const gap = { from: START - 2 * MICROS_PER_DAY, to: START - MICROS_PER_DAY, at: START };
      await tx.saveFeedState('waiting', { gap });
      await tx.saveFeedState('stale', { succeededAt: START - MICROS_PER_DAY, attemptedAt: START, failures: 3, error });
    });
    await app.app.ready();
    for (let i = 0; i < 6; i += 1) await app.ask(`${IOCS}?collection=${i < 4 ? 'all' : 'ips'}`);
    await app.ask('/api/taxii2/api/collections/all/objects/');
    await app.writer.transaction((tx) =>
      tx.saveAccount({
        account: account.name,
        lastRequestAt: START,
        blockedUntil: START + 9 * MICROS_PER_SECOND,
        windows: {},
        requests: 102,
      }),
    );
    const { data } = (await app.ask('/api/v1/feeds')).json();
    t.match(data, [
      {
        name: 'fresh',
        title: 'fresh title',
        status: 'fresh',
        every_seconds: 900,
        succeeded_at: '2026-01-01T00:00:00.000Z',
        next_poll_at: '2026-01-01T00:15:00.000Z',
        error: null,
        gap: null,
        note: null,
        attribution: null,
        terms: null,
        redistribution: 'unknown',
        counts: [
          { collection: 'all', live: 0, left_out: {} },
          { collection: 'ips', live: 0, left_out: {} },
        ],
        budget: {
          origin: 'https://up.example',
          next_request_at: '2026-01-01T00:00:05.000Z',
          blocked_until: '2026-01-01T00:00:09.000Z',
          windows: [{ seconds: 60, requests: 10, left: 4 }],
        },
        reads: 7,
        upstream_requests: 2,
        calls_saved: 5,
        collections: ['all', 'ips'],
      },
      { name: 'keyless', status: 'no-key', next_poll_at: null, budget: null, calls_saved: null },
      {
        name: 'stale',
        status: 'stale',
        failures: 3,
        // What is spent on its account tells of the feed behind red as well.
        budget: null,
        upstream_requests: null,
        calls_saved: null,
        error: { code: 'upstream-failed', message: /502/, at: '2026-01-01T00:00:00.000Z' },
      },
      {
        name: 'waiting',
        status: 'waiting',
        ...asked,
        succeeded_at: null,
        gap: { from: '2025-12-30T00:00:00.000Z', to: '2025-12-31T00:00:00.000Z', found_at: '2026-01-01T00:00:00.000Z' },
      },
    ]);
    t.strictSame(
      data.map(({ name }: any) => name),
      ['fresh', 'keyless', 'stale', 'waiting'],
      'not what stands behind red',
    );
    t.notMatch(JSON.stringify(data), /abc123/, 'nothing of a key, not even its fingerprint');
    const theirs = (await app.ask('/api/v1/feeds', { headers: { authorization: 'Bearer slc_ips' } })).json().data;
    t.match(theirs, [{ name: 'fresh', collections: ['ips'], reads: 2 }]);
    t.equal(theirs.length, 1);
  },
);

t.test('feeds: a client sees only counts of what it may read', async (t) => {
  const dir = t.testdir();
  const write = (name: string, objects: object[]) =>
    writeFile(join(dir, name), JSON.stringify({ type: 'bundle', id: `bundle--${uuidOf(name)}`, objects }));
  const indicator = (pattern: string, more: object = {}) => ({
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(pattern)}`,
    created: '2025-12-01T00:00:00.000Z',
    modified: '2025-12-01T00:00:00.000Z',
    valid_from: '2025-12-01T00:00:00.000Z',
    pattern_type: 'stix',
    pattern,
    ...more,
  });
  const ip = (n: number, more: object = {}) => indicator(`[ipv4-addr:value = '198.51.100.${n}']`, more);
  const open = [ip(1), ip(2), ip(3, { revoked: true })];
  const yaml = `
data: ./data
feeds:
  one: { format: stix, path: one.json, tlp: green }
  two: { format: stix, path: two.json, tlp: green }
pools: { main: { feeds: [one] }, other: { feeds: [two] } }
collections:
  ips: { pool: main, types: [ipv4] }
  sure: { pool: main, min_confidence: 50 }
  raw: { pool: main, tlp: red, objects: all }
  elsewhere: { pool: other }
`;
  await write('one.json', open);
  await write('two.json', []);
  const clock = scriptedClock(START, { auto: true });
  const gateway = await openGateway(t, dir, yaml, { clock });
  const keyOf = async (name: string, collections: string[] | null, tlp: Tlp) =>
    (await gateway.side.addClient({ name, collections, tlp, rate: { max: 1000, per: 60_000 } })).key ?? '';
  const partial = await keyOf('partial', ['ips'], 'red');
  const low = await keyOf('low', null, 'amber');
  const whole = await keyOf('whole', null, 'red');
  const poll = async () => {
    for (const feed of ['one', 'two']) await gateway.side.poll(feed);
  };
  const ask = async (key: string) => {
    const reply = await gateway.app.inject({ url: '/api/v1/feeds', headers: { authorization: `Bearer ${key}` } });
    return reply.json().data;
  };
  await poll();
  const before = { partial: await ask(partial), low: await ask(low), whole: await ask(whole) };
  t.match(before.partial, [{ name: 'one', counts: [{ collection: 'ips', live: 2, left_out: null }] }]);
  t.equal(before.partial.length, 1);
  t.match(before.low, [
    {
      name: 'one',
      counts: [
        { collection: 'ips', live: 2, left_out: null },
        { collection: 'sure', live: 0 },
      ],
    },
    { name: 'two', counts: [{ collection: 'elsewhere', live: 0 }] },
  ]);
  t.strictSame(before.whole[0].counts, [
    { collection: 'ips', live: 2, left_out: { revoked: 1 } },
    { collection: 'sure', live: 0, left_out: { revoked: 1, 'below-confidence': 2 } },
    { collection: 'raw', live: 2, left_out: { revoked: 1 } },
  ]);

  const red = { labels: ['tlp:red'] };
  const malware = { ...ip(9), type: 'malware', id: `malware--${uuidOf('worm')}`, name: 'worm', is_family: true };
  await write('one.json', [
    ...open,
    ip(4, red),
    ip(5, { ...red, revoked: true }),
    indicator("[domain-name:value = 'a.example.com']"),
    indicator("[domain-name:value = 'b.example.com']", { valid_until: '2025-12-24T00:00:00.000Z' }),
    indicator('no pattern'),
    malware,
  ]);
  await write('two.json', [ip(6), ip(7)]);
  await poll();
  t.strictSame(
    withoutTimes(await ask(partial)),
    withoutTimes(before.partial),
    'rows of other types, above the ceiling, refused, and of other pools: nothing of it',
  );
  const now = { low: await ask(low), whole: await ask(whole) };
  t.match(now.low, [
    {
      name: 'one',
      counts: [
        { collection: 'ips', live: 2, left_out: null },
        { collection: 'sure', live: 0 },
      ],
    },
    { name: 'two', counts: [{ collection: 'elsewhere', live: 2, left_out: {} }] },
  ]);
  t.strictSame(now.whole[0].counts, [
    { collection: 'ips', live: 2, left_out: { revoked: 1, expired: 1, 'type-not-taken': 1 } },
    { collection: 'sure', live: 0, left_out: { revoked: 1, expired: 1, 'below-confidence': 3 } },
    { collection: 'raw', live: 5, left_out: { revoked: 2, expired: 1 } },
  ]);
});

/** All but when it was asked and polled. */
function withoutTimes(data: object[]): unknown {
  return JSON.parse(JSON.stringify(data), (name, value) => (/_at$/.test(name) ? undefined : value));
}

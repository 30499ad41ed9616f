// slow (31 s): large journals, and random readers of them
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import pino from 'pino';
import t, { type Test } from 'tap';
import { buildApp } from '../../routes/app.ts';
import { acceptedCodings } from '../../routes/coding.ts';
import { createPageCache, MAX_WAITING_PAGES, type Page, type PageRequest } from '../../routes/page-cache.ts';
import { matchesEtag } from '../../routes/page-reply.ts';
import { MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { Entry } from '../../src/model/entry.ts';
import type { Client } from '../../src/model/state.ts';
import { formatMicros } from '../../src/model/timestamp.ts';
import { readAsked } from '../../src/normalise/asked.ts';
import { NO_CONTRIBUTIONS, NO_CONTROL, NO_PRESSURE } from '../helpers/app.ts';
import { openLists } from '../helpers/lists.ts';
import {
  appendEntries,
  indicatorEntry,
  type JournalStore,
  objectEntry,
  openJournalStore,
  START,
  uuidOf,
} from '../helpers/store.ts';

const ROOT = '/api/taxii2/api/collections';

const reader: Client = {
  name: 'reader',
  role: 'reader',
  collections: null,
  writes: [],
  tlp: 'red',
  rate: { max: 1_000_000_000, per: 60_000 },
  createdAt: START,
  revokedAt: null,
  keyHashes: [],
  certificates: [],
  pathKey: false,
};

function collection(alias: string, changes: Partial<CollectionDefinition> = {}): CollectionDefinition {
  const id = uuidOf(alias).replace('-5', '-4');
  const standard = {
    title: alias,
    description: null,
    journal: 'pool:main',
    types: null,
    tlp: 'amber',
    strict: false,
  } as const;
  return { id, alias, ...standard, ...changes };
}

/** The application on a store that the test itself writes to; whoever asks is known. */
async function serving(t: Test, store: JournalStore, cacheBytes = 10_000_000) {
  const app = buildApp({
    clock: store.clock,
    control: NO_CONTROL,
    contributions: NO_CONTRIBUTIONS,
    refreshOnRead: () => undefined,
    reader: store.reader,
    unreadyReason: () => null,
    pressure: NO_PRESSURE,
    maxConnections: 100,
    maxConnectionsPerAddress: null,
    answerBytes: 64 * 1024 * 1024,
    clients: { generation: 0, find: () => reader, findByCertificate: () => null },
    lists: openLists(t, store),
    collections: [collection('all'), collection('ips', { types: ['ipv4'] }), collection('letter', { strict: true })],
    taxii: {
      title: 'Sluice',
      description: null,
      contact: null,
      apiRoots: [{ path: '/api/taxii2/api/', title: 'Root', description: null }],
      pageSize: 1000,
      maxPage: 5000,
    },
    publicUrl: null,
    identityId: `identity--${uuidOf('identity')}`,
    cursorSecret: 'ab'.repeat(32),
    cacheBytes,
    metricsAccess: 'anyone',
    allowances: async () => [],
    feeds: [],
    readAsked,
    version: '0.0.0',
    tls: null,
    trustProxy: false,
    log: pino({ level: 'silent' }),
  });
  t.teardown(() => app.close());
  return (url: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
    app.inject({ method, url, headers: { authorization: 'Bearer key', ...headers } });
}

const ip = (i: number) => indicatorEntry({ type: 'ipv4', value: `198.51.100.${i}` });
const domain = (i: number) => indicatorEntry({ value: `h${i}.example` });

/** What a store may go through; numbers choose among what stands at that time. */
type Step =
  | { does: 'append'; ips: number; domains: number; objects: number }
  | { does: 'supersede' | 'revoke' | 'purge'; which: number };

async function take(store: JournalStore, standing: Entry[], step: Step, turn: number): Promise<Entry[]> {
  store.clock.set(START + turn * MICROS_PER_SECOND);
  return store.writer.transaction(async (tx) => {
    if (step.does === 'append') {
      const base = turn * 10;
      const entries: Entry[] = [
        ...Array.from({ length: step.ips }, (_, i) => ip(base + i)),
        ...Array.from({ length: step.domains }, (_, i) => domain(base + i)),
        ...Array.from({ length: step.objects }, (_, i) => objectEntry({ name: `o${base + i}` })),
      ];
      return [...standing, ...(await appendEntries(tx, 'pool:main', entries))];
    }
    const old = standing[step.which % Math.max(1, standing.length)];
    if (old === undefined) return standing;
    const rest = standing.filter((entry) => entry !== old);
    if (step.does === 'purge') {
      await tx.purge('pool:main', [old.dateAdded]);
      return rest;
    }
    const version = START + turn * MICROS_PER_SECOND;
    const next = { ...old, version, ...(old.kind === 'indicator' && step.does === 'revoke' ? { revoked: true } : {}) };
    return [...rest, ...(await appendEntries(tx, 'pool:main', [next], [old.dateAdded]))];
  });
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: fc.constant('append' as const), ips: fc.nat(3), domains: fc.nat(3), objects: fc.nat(1) }),
  fc.record({ does: fc.constantFrom('supersede' as const, 'revoke' as const, 'purge' as const), which: fc.nat(40) }),
);

/** Questions that are asked again and again; dates and ids are of what the first step appended, or of nothing. */
function questions(standing: readonly Entry[]): string[] {
  const some = standing[2];
  const id = some?.objectId ?? `indicator--${uuidOf('none')}`;
  const date = formatMicros(some?.dateAdded ?? START);
  const late = formatMicros(START + 3 * MICROS_PER_SECOND);
  const queries = [
    '',
    '?limit=1',
    '?limit=3',
    '?limit=4',
    `?added_after=${date}&limit=2`,
    `?added_after=${late}`,
    '?match[type]=relationship',
    '?match[version]=first&limit=2',
    '?match[version]=all&limit=5',
    '?match[spec_version]=2.0',
    `?match[id]=${id}`,
  ];
  const lists = ['all', 'ips', 'letter'].flatMap((alias) =>
    queries.flatMap((query) => [`${ROOT}/${alias}/objects/${query}`, `${ROOT}/${alias}/manifest/${query}`]),
  );
  const objects = ['all', 'ips'].flatMap((alias) => [
    `${ROOT}/${alias}/objects/${id}/`,
    `${ROOT}/${alias}/objects/${id}/?added_after=${late}`,
    `${ROOT}/${alias}/objects/${id}/versions/`,
  ]);
  return [...lists, ...objects];
}

/** Lives through a script and compares each answer with one that was read anew. Answers how many it compared. */
async function live(t: Test, keepVersions: 'last' | 'all', script: readonly Step[]): Promise<number> {
  const store = await openJournalStore(t, undefined, keepVersions);
  const kept = await serving(t, store);
  // One byte keeps nothing.
  const fresh = await serving(t, store, 1);
  const tags = new Map<string, string>();
  let standing = await take(store, [], { does: 'append', ips: 3, domains: 3, objects: 1 }, 0);
  const asked = questions(standing);
  let compared = 0;
  for (const [i, step] of script.entries()) {
    for (const url of asked) {
      const [a, b] = [await kept(url), await fresh(url)];
      if (a.statusCode !== b.statusCode || a.body !== b.body) throw new Error(`${url}: ${a.body} is not ${b.body}`);
      for (const end of ['first', 'last']) {
        const name = `x-taxii-date-added-${end}`;
        if (a.headers[name] !== b.headers[name]) throw new Error(`${url}: ${name} ${a.headers[name]}`);
      }
      compared += 1;
      if (a.statusCode !== 200) continue;
      const tag = `${a.headers['etag']}`;
      if ((tags.get(tag) ?? a.body) !== a.body) throw new Error(`${url}: ${tag} is of two bodies`);
      tags.set(tag, a.body);
      const again = await kept(url, { 'if-none-match': tag });
      if (again.statusCode !== 304) throw new Error(`${url}: ${again.statusCode}, not 304`);
    }
    standing = await take(store, standing, step, i + 1);
  }
  return compared;
}

for (const keepVersions of ['last', 'all'] as const) {
  t.test(`no answer is older than the journal, whatever happened to it (versions kept: ${keepVersions})`, async (t) => {
    const scripts = fc.sample(fc.array(steps, { minLength: 3, maxLength: 8 }), process.env['CI'] ? 24 : 5);
    for (const [i, script] of scripts.entries()) {
      await t.test(`life ${i}`, async (t) => {
        t.comment(JSON.stringify(script));
        t.ok((await live(t, keepVersions, script)) >= 3 * 70);
      });
    }
  });
}

/** A store that counts its reads of rows, with `count` indicators in it. */
async function counted(t: Test, count: number) {
  const store = await openJournalStore(t);
  await store.writer.transaction((tx) =>
    appendEntries(
      tx,
      'pool:main',
      Array.from({ length: count }, (_, i) => domain(i)),
    ),
  );
  let reads = 0;
  const reader = {
    ...store.reader,
    visitPage: (...asked: Parameters<typeof store.reader.visitPage>) => {
      reads += 1;
      return store.reader.visitPage(...asked);
    },
  };
  return { store: { ...store, reader }, reads: () => reads };
}

t.test('a cached page reads no row; a changed page is read again; its neighbours stay cached', async (t) => {
  const { store, reads } = await counted(t, 9000);
  const get = await serving(t, store);
  const first = `${ROOT}/all/objects/?limit=1000`;
  const far = (
    await store.reader.page({
      journal: 'pool:main',
      observableTypes: null,
      stixTypes: null,
      objectIds: null,
      versions: { last: true, first: false, all: false, exact: [] },
      after: 0,
      limit: 9000,
    })
  ).entries;
  const tail = `${ROOT}/all/objects/?added_after=${formatMicros(far[8500]?.dateAdded as Micros)}`;
  await get(first);
  await get(tail);
  const before = reads();
  for (const url of [first, tail, `${ROOT}/all/objects?limit=1000`]) t.equal((await get(url)).statusCode, 200);
  t.equal(reads(), before, 'with and without the slash it is one page');
  store.clock.set(START + MICROS_PER_SECOND);
  await store.writer.transaction((tx) => appendEntries(tx, 'pool:main', [domain(10_000)]));
  await get(first);
  t.equal(reads(), before, 'a full page does not mind what comes behind it');
  t.equal((await get(tail)).json().objects.length, 500, 'a partial last page goes on with the head');
  t.equal(reads(), before + 1);
  await store.writer.transaction((tx) => tx.purge('pool:main', [far[5]?.dateAdded as Micros]));
  await get(tail);
  t.equal(reads(), before + 1, 'what happened far before it is nothing to a page');
  t.notMatch((await get(first)).body, new RegExp(`"${far[5]?.objectId}"`));
  t.equal(reads(), before + 2);
});

t.test('each coding has the same bytes under an ETag of its own, and is encoded once', async (t) => {
  const { store, reads } = await counted(t, 50);
  const get = await serving(t, store);
  const url = `${ROOT}/all/objects/`;
  const plain = await get(url);
  t.equal(plain.headers['content-encoding'], undefined);
  const tags = [plain.headers.etag];
  for (const [field, coding, decode] of [
    ['gzip', 'gzip', gunzipSync],
    ['zstd', 'zstd', zstdDecompressSync],
  ] as const) {
    const before = reads();
    for (let i = 0; i < 3; i += 1) {
      const reply = await get(url, { 'accept-encoding': field });
      t.equal(reply.headers['content-encoding'], coding);
      t.ok(decode(reply.rawPayload).equals(plain.rawPayload), `${coding} decodes to the same bytes`);
      t.equal(Number(reply.headers['content-length']), reply.rawPayload.length);
      if (i === 0) tags.push(reply.headers.etag);
    }
    t.equal(reads(), before + 1);
  }
  t.equal(new Set(tags).size, 3, 'a strong tag is of one coding (RFC 9110 section 8.8.3)');
  const head = await get(url, { 'accept-encoding': 'gzip' }, 'HEAD');
  t.match(head.headers, {
    'content-encoding': 'gzip',
    etag: tags[1],
    'content-type': 'application/taxii+json;version=2.1',
  });
  t.equal(head.rawPayload.length, 0);
  const small = await get(`${ROOT}/all/objects/?match[type]=tool`, { 'accept-encoding': 'gzip' });
  t.equal(small.headers['content-encoding'], undefined, 'a small page is not worth a coding');
  const forced = await get(`${ROOT}/all/objects/?match[type]=tool`, { 'accept-encoding': 'gzip, identity;q=0' });
  t.equal(forced.headers['content-encoding'], 'gzip', 'unless it may not go out as it is');
  const refused = await get(url, { 'accept-encoding': 'br, *;q=0' });
  t.equal(refused.statusCode, 406);
  t.match(refused.json(), { http_status: '406' });
});

t.test('304 for a client that has the page, with the headers of a 200 (RFC 9110 section 15.4.5)', async (t) => {
  const { store } = await counted(t, 50);
  const get = await serving(t, store);
  const url = `${ROOT}/all/objects/?limit=20`;
  const full = await get(url, { 'accept-encoding': 'gzip' });
  const etag = full.headers.etag as string;
  t.match(etag, /^"[A-Za-z0-9_-]{22}-gzip"$/);
  t.equal(full.headers['cache-control'], 'private, no-cache');
  t.match(full.headers.vary, /Accept-Encoding/);
  for (const field of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const reply = await get(url, { 'accept-encoding': 'gzip', 'if-none-match': field });
    t.equal(reply.statusCode, 304, field);
    t.equal(reply.rawPayload.length, 0);
    for (const name of ['etag', 'cache-control', 'vary', 'x-taxii-date-added-last']) {
      t.equal(reply.headers[name], full.headers[name], name);
    }
    t.equal(reply.headers['content-encoding'], undefined);
    t.equal((await get(url, { 'accept-encoding': 'gzip', 'if-none-match': field }, 'HEAD')).statusCode, 304);
  }
  for (const field of ['"other"', etag.slice(1, -1), '']) {
    t.equal((await get(url, { 'accept-encoding': 'gzip', 'if-none-match': field })).statusCode, 200, field);
  }
  t.equal((await get(url, { 'if-none-match': etag })).statusCode, 200, "another coding's tag is not this one's");
  t.equal(
    (await get(`${url}0`, { 'if-none-match': etag, 'accept-encoding': 'gzip' })).statusCode,
    200,
    'nor is another page’s',
  );
  t.notOk(matchesEtag(undefined, etag));
});

t.test('Accept-Encoding: weights, wildcards and what is malformed', async (t) => {
  const plain = { best: 'identity', isPlainFine: true };
  for (const [field, expected] of [
    [undefined, plain],
    ['', plain],
    ['identity', plain],
    ['gzip', { best: 'gzip', isPlainFine: true }],
    ['x-gzip', { best: 'gzip', isPlainFine: true }],
    ['GZIP ; q=0.8', { best: 'gzip', isPlainFine: true }],
    ['gzip, deflate, br, zstd', { best: 'zstd', isPlainFine: true }],
    ['gzip;q=1.0, zstd;q=0.5', { best: 'gzip', isPlainFine: true }],
    ['zstd;q=0, gzip;q=0.001', { best: 'gzip', isPlainFine: true }],
    ['gzip;q=0', plain],
    ['br', plain],
    ['*', { best: 'zstd', isPlainFine: true }],
    ['*;q=0.1, zstd;q=0', { best: 'gzip', isPlainFine: true }],
    ['gzip;q=0.5, identity', plain],
    ['gzip, *;q=0', { best: 'gzip', isPlainFine: false }],
    ['gzip, identity;q=0', { best: 'gzip', isPlainFine: false }],
    ['gzip;q=2', plain],
    ['gzip;q=nonsense', plain],
    [`${'a,'.repeat(2000)}gzip`, plain],
  ] as const) {
    t.strictSame(acceptedCodings(field), expected, String(field).slice(0, 60));
  }
  for (const field of ['identity;q=0', '*;q=0', 'br, *;q=0']) {
    t.throws(() => acceptedCodings(field), { code: 'not-acceptable' }, field);
  }
});

const PLAIN = { best: 'identity', isPlainFine: true } as const;

t.test('requests during a rendering share it, unless the journal changed since it began', async (t) => {
  let changes = 0;
  let renders = 0;
  let release = Promise.withResolvers<void>();
  const cache = createPageCache({ state: () => null, validity: async () => ({ changes, head: 1 }) }, 1_000_000);
  const question: PageRequest = {
    key: 'a',
    journal: 'j',
    after: 0,
    async render() {
      renders += 1;
      const validity = { changes, head: 1 };
      await release.promise;
      return { body: Buffer.from(`at ${validity.changes}`), headers: {}, validity, until: null };
    },
  };
  const textOf = async (page: Page | Promise<Page>) => (await page).body.toString();
  const together = [1, 2, 3].map(() => textOf(cache.read(question, PLAIN)));
  release.resolve();
  t.strictSame(await Promise.all(together), ['at 0', 'at 0', 'at 0']);
  t.equal(renders, 1, 'one reading for all');

  changes = 1;
  release = Promise.withResolvers<void>();
  const early = textOf(cache.read(question, PLAIN));
  while (renders < 2) await new Promise(setImmediate);
  changes = 2;
  const late = [1, 2].map(() => textOf(cache.read(question, PLAIN)));
  release.resolve();
  t.equal(await early, 'at 1');
  t.strictSame(await Promise.all(late), ['at 2', 'at 2'], 'they came after the change');
  t.equal(renders, 3);

  const failing = { ...question, key: 'b', render: () => Promise.reject(new Error('once')) };
  await t.rejects(async () => cache.read(failing, PLAIN), { message: 'once' });
  t.equal(await textOf(cache.read({ ...question, key: 'b' }, PLAIN)), 'at 2', 'a failure is not kept');
});

t.test('a cached page is returned at once while nothing was committed, and is validated afterwards', async (t) => {
  let [state, changes, looks] = [0 as number | null, 0, 0];
  const look = async () => {
    looks += 1;
    return { changes, head: 1 };
  };
  const cache = createPageCache({ state: () => state, validity: look }, 1_000_000);
  let during = (): void => undefined;
  const question: PageRequest = {
    key: 'a',
    journal: 'j',
    after: 0,
    async render() {
      const validity = { changes, head: 1 };
      during();
      return { body: Buffer.from(`at ${changes}`), headers: {}, validity, until: null };
    },
  };
  /** What the page says, whether it was there at once, and how often the store was asked. */
  const ask = async () => {
    looks = 0;
    const page = cache.read(question, PLAIN);
    return [(await page).body.toString(), page instanceof Promise ? 'later' : 'at once', looks];
  };
  t.strictSame(await ask(), ['at 0', 'later', 0]);
  t.strictSame(await ask(), ['at 0', 'at once', 0]);
  state = 2;
  t.strictSame(await ask(), ['at 0', 'later', 1], 'something else was committed');
  t.strictSame(await ask(), ['at 0', 'at once', 0]);
  state = null;
  t.strictSame([await ask(), await ask()], Array(2).fill(['at 0', 'later', 1]), 'while a commit is under way');
  [state, changes] = [4, 1];
  during = () => {
    state = 6;
  };
  t.strictSame(await ask(), ['at 1', 'later', 1], 'what it says was committed');
  t.strictSame(await ask(), ['at 1', 'later', 1], 'and something else while it was made');
  t.strictSame(await ask(), ['at 1', 'at once', 0]);
});

t.test('the cache is bounded in bytes, and four pages at most are rendered at a time', async (t) => {
  const cache = createPageCache({ state: () => null, validity: async () => ({ changes: 0, head: 1 }) }, 50_000);
  let running = 0;
  let most = 0;
  const page = (i: number): PageRequest => ({
    key: `page ${i}`,
    journal: 'j',
    after: 0,
    async render() {
      running += 1;
      most = Math.max(most, running);
      for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
      running -= 1;
      return { body: Buffer.alloc(9000), headers: {}, validity: { changes: 0, head: 1 }, until: 1 };
    },
  });
  await Promise.all(Array.from({ length: 40 }, (_, i) => cache.read(page(i), PLAIN)));
  const { bytes, pages, evictions, misses } = cache.counters();
  t.ok(bytes <= 50_000 && pages === 4, `${pages} pages, ${bytes} bytes`);
  t.strictSame([evictions, misses, most], [36, 40, 4]);
  await cache.read(
    { ...page(99), render: async () => ({ ...(await page(99).render()), body: Buffer.alloc(60_000) }) },
    PLAIN,
  );
  t.equal(cache.counters().pages, 4, 'a page larger than all is sent and not kept');
  await cache.read(page(39), PLAIN);
  t.equal(cache.counters().hits, 1);
});

t.test('pages are rendered in turns of their own, and requests beyond the queue are refused', async (t) => {
  const cache = createPageCache({ state: () => null, validity: async () => ({ changes: 0, head: 1 }) }, 50_000);
  let turn = 0;
  let isOver = false;
  const tick = (): void => {
    turn += 1;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  const begun: number[] = [];
  const read = (i: number) =>
    cache.read(
      {
        key: `page ${i}`,
        journal: 'j',
        after: 0,
        async render() {
          begun.push(turn);
          return { body: Buffer.alloc(10), headers: {}, validity: { changes: 0, head: 1 }, until: 1 };
        },
      },
      PLAIN,
    );
  const many = MAX_WAITING_PAGES + 50;
  const results = await Promise.allSettled(Array.from({ length: many }, async (_, i) => read(i)));
  isOver = true;
  const refused = results.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  t.equal(refused.length, many - MAX_WAITING_PAGES - 4, 'four are made, so many wait');
  t.match(refused[0], { code: 'unavailable', retryAfter: 5 });
  t.equal(new Set(begun).size, begun.length, 'one in a turn of the event loop');
  await read(many);
  t.equal(begun.length, MAX_WAITING_PAGES + 5, 'later there is room again');
});

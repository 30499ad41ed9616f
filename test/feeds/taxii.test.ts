// slow (10 s): random histories of a TAXII upstream
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { FeedBatch, FeedItem } from '../../src/feeds/feed.ts';
import { presets } from '../../src/feeds/presets.ts';
import { restartsBehind } from '../../src/feeds/taxii/bookmark.ts';
import { type Page, readPage } from '../../src/feeds/taxii/page.ts';
import { taxii } from '../../src/feeds/taxii.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { GatewayError } from '../../src/model/error.ts';
import type { Json, JsonObject } from '../../src/model/json.ts';
import { Secret } from '../../src/model/secret.ts';
import { formatMicros } from '../../src/model/timestamp.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { codeOf, openFeedBench, pull } from '../helpers/feed.ts';
import { START } from '../helpers/store.ts';
import {
  COLLECTION,
  indicatorOf,
  startTaxii,
  type TaxiiOptions,
  type TaxiiRequest,
} from '../helpers/taxii-upstream.ts';
import { UPSTREAM_KEY } from '../helpers/upstream.ts';

async function openTaxii(t: Test, serverOptions: TaxiiOptions = {}, options: object = {}) {
  const clock = scriptedClock(START + MICROS_PER_DAY, { auto: true });
  const server = await startTaxii(t, { clock, ...serverOptions });
  const all = { url: server.url, key: new Secret(UPSTREAM_KEY), collections: ['all'], page_size: 10, ...options };
  const bench = await openFeedBench(t, taxii, { ...all, per_minute: 100_000 }, { clock });
  const fill = (count: number, step = 7): void => {
    for (let n = server.rows.length; n < count; n += 1) {
      server.rows.push({ added: START + n * step, object: indicatorOf(n) });
    }
  };
  return { clock, server, bench, fill };
}

const idsOf = (items: readonly FeedItem[]): Set<unknown> =>
  new Set(items.map((item) => (item as { stix: JsonObject }).stix['id']));
const pathsOf = (requests: readonly TaxiiRequest[]): string[] => requests.map(({ url }) => url.pathname);
const asked = (requests: readonly TaxiiRequest[], name: string): (string | null)[] =>
  requests.filter(({ url }) => url.pathname.endsWith('/objects/')).map(({ url }) => url.searchParams.get(name));
const messageOf = (error: unknown): string => (error as GatewayError | null)?.message ?? '';

/** A page as it is read from its text, pieces and all. */
async function pageOf(text: string, headers: Record<string, string> = {}, status = 200, size = 7): Promise<Page> {
  const body = (async function* () {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  })();
  const pieces = readPage({ status, headers, body }, 'host', 'it', START);
  const objects: Json[] = [];
  for (;;) {
    const { value, done } = await pieces.next();
    if (done) return { ...value, objects: [...objects, ...value.objects] };
    objects.push(...value);
  }
}

const OBJECTS = `/api/root/collections/${COLLECTION}/objects/`;

t.test(
  'a collection is found from the server, its discovery, its root, its list, or is the address itself',
  async (t) => {
    const { server } = await openTaxii(t);
    const cases: [string, object, string[]][] = [
      ['', {}, ['/taxii2/', '/api/root/collections/', OBJECTS]],
      ['/taxii2/', {}, ['/taxii2/', '/api/root/collections/', OBJECTS]],
      ['/taxii2', { api_root: 'the root' }, ['/taxii2/', '/api/root/', '/api/root/collections/', OBJECTS]],
      ['/taxii2/', { api_root: '/api/root/' }, ['/taxii2/', '/api/root/collections/', OBJECTS]],
      ['/api/root/', {}, ['/api/root/', '/api/root/collections/', OBJECTS]],
      ['/api/root/collections/', {}, ['/api/root/collections/', OBJECTS]],
      [`/api/root/collections/${COLLECTION}/`, { collections: undefined }, [OBJECTS]],
      ['/api/root/collections/all/objects/', { collections: undefined }, ['/api/root/collections/all/objects/']],
    ];
    for (const [path, over, paths] of cases) {
      const clock = scriptedClock(START, { auto: true });
      server.rows = [{ added: START, object: indicatorOf(1) }];
      server.requests.length = 0;
      const options = { url: server.url + path, key: new Secret(UPSTREAM_KEY), collections: ['all'], ...over };
      const bench = await openFeedBench(
        t,
        taxii,
        JSON.parse(JSON.stringify(options), (name, value) => (name === 'key' ? options.key : value)),
        { clock, base: t.testdir() },
      );
      const { items, error } = await pull(taxii, bench.context());
      t.equal(error, null, path);
      t.equal(items.length, 1);
      t.same([...new Set(pathsOf(server.requests))], paths, `the way from ${path}`);
    }
  },
);

t.test('a collection is named by id, alias, title, or another name that the configuration knows', async (t) => {
  const { server } = await openTaxii(t, { others: [{ id: 'hashes-2', title: 'File hashes', can_read: true }] });
  server.rows = [{ added: START, object: indicatorOf(1) }];
  for (const [name, path] of [
    [COLLECTION, COLLECTION],
    [COLLECTION.toUpperCase(), COLLECTION],
    ['ALL', COLLECTION],
    [' everything', COLLECTION],
    ['file hashes', 'hashes-2'],
    ['hashes', 'hashes-2'],
  ] as const) {
    server.requests.length = 0;
    const options = { url: server.url, key: new Secret(UPSTREAM_KEY), collections: [name] };
    const aliases = { hashes: ['file-hashes', 'File hashes'] };
    const bench = await openFeedBench(t, taxii, { ...options, aliases }, { base: t.testdir() });
    const { error } = await pull(taxii, bench.context());
    t.equal(error, null, name);
    t.equal(pathsOf(server.requests).at(-1), `/api/root/collections/${path}/objects/`);
  }
});

t.test('without a name the only readable collection is read, and with two a name is asked for', async (t) => {
  const others = [{ id: 'closed', title: 'Closed', can_read: false }];
  const { server, bench, fill } = await openTaxii(t, { others }, { collections: undefined });
  fill(3);
  const first = await pull(taxii, bench.context());
  t.equal(first.items.length, 3);
  t.same(asked(server.requests, 'added_after'), [null]);
  others.push({ id: 'second', title: 'Second', can_read: true });
  const { error } = await pull(taxii, bench.context());
  t.match(messageOf(error), /2 collections: name those that are meant.*Everything.*Second \(second\)/);
  t.notMatch(messageOf(error), /Closed/);
});

t.test('several collections are one feed; when one fails, the others are read', async (t) => {
  const others = [
    { id: 'closed', title: 'Closed', can_read: false },
    { id: 'second', title: 'Second', can_read: true },
  ];
  const { bench, fill } = await openTaxii(t, { others }, { collections: ['closed', 'nobody', 'all', 'second'] });
  fill(3);
  const { items, batches, error, cursor } = await pull(taxii, bench.context());
  t.equal(items.length, 6, 'both that are open are read');
  t.notOk(
    batches.some(({ last }) => last),
    'the pull is not whole',
  );
  t.equal(codeOf(error), 'upstream-forbidden');
  t.match(messageOf(error), /Closed may not be read with this key/);
  t.match(JSON.parse(cursor ?? '{}').places, { all: {}, second: {} }, 'and goes on from where it was');
});

t.test('the error for an unknown name lists the titles of the server, a bounded number of them', async (t) => {
  const others = Array.from({ length: 500 }, (_, n) => ({ id: `c${n}`, title: `Title ${n} ${'x'.repeat(500)}\n` }));
  const { bench } = await openTaxii(t, { others }, { collections: ['al'] });
  const { error } = await pull(taxii, bench.context());
  t.equal(codeOf(error), 'upstream-failed');
  t.match(messageOf(error), /no collection al; it has Everything \(91a7.*Title 18 x+….* and 481 more/);
  t.ok(messageOf(error).length < 2500);
});

t.test('the second pull asks only for what is new, from the server’s own date and in one request', async (t) => {
  const { server, bench, fill } = await openTaxii(t);
  fill(25);
  const first = await pull(taxii, bench.context());
  t.equal(first.items.length, 25);
  t.equal(first.batches.at(-1)?.last, true);
  server.requests.length = 0;
  const again = await pull(taxii, bench.context({ cursor: first.cursor }));
  t.equal(again.items.length, 0);
  t.same(asked(server.requests, 'added_after'), [formatMicros(START + 24 * 7)], 'verbatim');
  t.equal(server.requests.length, 1, 'what was found is remembered');
  fill(27);
  const third = await pull(taxii, bench.context({ cursor: again.cursor }));
  t.same(idsOf(third.items), new Set([indicatorOf(25)['id'], indicatorOf(26)['id']]));
});

t.test('a full page that says it is the last is believed', async (t) => {
  const { server, bench, fill } = await openTaxii(t);
  fill(20);
  t.equal((await pull(taxii, bench.context())).items.length, 20);
  t.equal(asked(server.requests, 'next').length, 2);
});

t.test('an interrupted pull goes on behind the last page that is known to be whole', async (t) => {
  const { server, bench, fill } = await openTaxii(t);
  fill(95);
  server.onRequest = ({ url }) => {
    server.down = url.searchParams.get('next') === '50' ? { status: 500 } : null;
  };
  const first = await pull(taxii, bench.context());
  t.equal(codeOf(first.error), 'upstream-failed');
  t.equal(first.items.length, 50);
  server.onRequest = null;
  server.down = null;
  server.requests.length = 0;
  const second = await pull(taxii, bench.context({ cursor: first.cursor }));
  t.equal(idsOf([...first.items, ...second.items]).size, 95, 'no row is missing');
  t.equal(second.items.length, 55, 'one page comes again');
});

t.test('a server that sends the newest first loses nothing when a pull is interrupted', async (t) => {
  const { server, bench, fill } = await openTaxii(t, { order: 'newest' });
  fill(50);
  for (const at of ['10', '20', '40']) {
    server.onRequest = ({ url }) => {
      server.down = url.searchParams.get('next') === at ? { status: 500 } : null;
    };
    const first = await pull(taxii, bench.context());
    t.equal(codeOf(first.error), 'upstream-failed');
    server.onRequest = null;
    server.down = null;
    const second = await pull(taxii, bench.context({ cursor: first.cursor }));
    t.equal(idsOf([...first.items, ...second.items]).size, 50, `cut at ${at}`);
    const third = await pull(taxii, bench.context({ cursor: second.cursor }));
    t.ok(third.items.length <= 1, 'and in the end the newest date stands');
  }
});

t.test('every row arrives, and every new one later, however the server pages and dates', async (t) => {
  const variants = fc.record({
    paging: fc.constantFrom('next', 'cursorless') as fc.Arbitrary<'next' | 'cursorless'>,
    shape: fc.constantFrom('envelope', 'bundle', 'list') as fc.Arbitrary<'envelope' | 'bundle' | 'list'>,
    more: fc.constantFrom('right', 'always', 'absent') as fc.Arbitrary<'right' | 'always' | 'absent'>,
    digits: fc.constantFrom(0, 3, 6) as fc.Arbitrary<0 | 3 | 6>,
    cut: fc.constantFrom('shown', 'stored') as fc.Arbitrary<'shown' | 'stored'>,
    nextRepeats: fc.boolean(),
    maxLimit: fc.constantFrom(10_000, 8),
    step: fc.constantFrom(7, 150_000, 400_000, 3_000_000),
    count: fc.constantFrom(0, 1, 9, 10, 11, 20, 45),
  });
  const { server, bench } = await openTaxii(t);
  await fc.assert(
    fc.asyncProperty(variants, async ({ digits, cut, step, count, ...quirks }) => {
      // What no client can tell: a capped page of one second's rows from all of them, and a capped envelope that is
      // silent on more from the last.
      const inSecond = digits === 6 ? 1 : Math.ceil(1_000_000 / step);
      const isCapped = quirks.maxLimit === 8;
      fc.pre(!isCapped || (inSecond < 8 && !(quirks.more === 'absent' && quirks.shape === 'envelope')));
      Object.assign(server.options, quirks, { dates: { digits, cut } });
      const row = (n: number) => ({ added: START + n * step, object: indicatorOf(n) });
      server.rows = Array.from({ length: count }, (_, n) => row(n));
      const first = await pull(taxii, bench.context());
      const later = [count, count + 1, count + 2].map(row);
      server.rows.push(...later);
      const second = await pull(taxii, bench.context({ cursor: first.cursor }));
      return (
        first.error === null &&
        second.error === null &&
        idsOf(first.items).size === count &&
        later.every(({ object }) => idsOf(second.items).has(object['id'])) &&
        second.items.length <= 4 * (inSecond + 3)
      );
    }),
    { numRuns: 150 },
  );
});

t.test(
  'more rows of one second than a page holds: a larger page is asked for, and skipped rows are reported',
  async (t) => {
    const dates = { digits: 0, cut: 'stored' } as const;
    const { server, bench, fill } = await openTaxii(t, { dates, paging: 'cursorless' });
    fill(60);
    const { items, rejected, error } = await pull(taxii, bench.context());
    t.equal(error, null);
    t.equal(idsOf(items).size, 60, 'all of one second');
    t.same(rejected, []);
    t.ok(asked(server.requests, 'limit').includes('10000'));

    server.options.maxLimit = 10;
    const capped = await pull(taxii, bench.context());
    t.equal(capped.error, null);
    t.match(capped.rejected, [{ reason: 'not-served', detail: /more rows were added at .* than a page holds/ }]);
    const snapshot = await openTaxii(t, { dates, paging: 'cursorless', maxLimit: 10 }, { mode: 'snapshot' });
    snapshot.fill(60);
    const cut = await pull(taxii, snapshot.bench.context());
    t.match(messageOf(cut.error), /can't be read as a whole/, 'and a snapshot withdraws nothing by it');
  },
);

t.test('a server that repeats a page is given up after a few pages, and reported', async (t) => {
  const { server, bench, fill } = await openTaxii(t, { nextRepeats: true, dates: 'absent' });
  fill(30);
  const { items, rejected, error, batches } = await pull(taxii, bench.context());
  t.equal(error, null);
  t.equal(items.length, 10);
  t.match(rejected, [{ reason: 'not-served', detail: /repeats a page for ever/, row: 'collection all' }]);
  t.equal(batches.at(-1)?.last, true);
  t.ok(server.requests.length < 10);

  Object.assign(server.options, { nextRepeats: false, dates: undefined, more: 'always', ignoresAfter: true });
  server.options.paging = 'cursorless';
  const ignoring = await pull(taxii, bench.context());
  t.match(ignoring.rejected, [{ reason: 'not-served' }]);
  t.ok(server.requests.length < 20);
});

t.test('empty pages are skipped, up to a bound', async (t) => {
  const { server, bench, fill } = await openTaxii(t);
  fill(3);
  let empty = 100;
  let token = 0;
  server.onRequest = ({ url }) => {
    const isEmpty = url.pathname === OBJECTS && empty > 0;
    empty -= isEmpty ? 1 : 0;
    token += 1;
    server.down = isEmpty ? { status: 200, body: JSON.stringify({ more: true, next: '0'.repeat(token) }) } : null;
  };
  const { items, rejected } = await pull(taxii, bench.context());
  t.equal(items.length, 3);
  t.same(rejected, []);
  empty = 100_000;
  server.requests.length = 0;
  const endless = await pull(taxii, bench.context());
  t.match(endless.rejected, [{ reason: 'not-served', detail: /empty pages for ever/ }]);
  t.ok(server.requests.length < 220);
});

t.test('the error for a missing collection in the address lists those that exist', async (t) => {
  const { bench } = await openTaxii(t, {}, { collections: undefined });
  const context = bench.context();
  context.options = { ...context.options, url: `${context.options.url}/api/root/collections/al/objects/` };
  const { error } = await pull(taxii, context);
  t.match(messageOf(error), /has no collection al; it has Everything \(91a7/);
});

t.test('`more` without `next` and without a date is reported, and fails a snapshot', async (t) => {
  const { bench, server, fill } = await openTaxii(t, { paging: 'cursorless', dates: 'undefined' });
  fill(30);
  const { items, rejected } = await pull(taxii, bench.context());
  t.equal(items.length, 10);
  t.match(rejected, [{ reason: 'not-served', detail: /gives no way to it/ }]);
  const snapshot = await openFeedBench(
    t,
    taxii,
    { url: server.url, key: new Secret(UPSTREAM_KEY), collections: ['all'], page_size: 10, mode: 'snapshot' },
    { base: t.testdir() },
  );
  t.equal(codeOf((await pull(taxii, snapshot.context())).error), 'upstream-malformed');
});

t.test('a server without dates is read as a whole each time, so that no row is missed', async (t) => {
  const { bench, fill } = await openTaxii(t, { dates: 'absent' });
  fill(25);
  const first = await pull(taxii, bench.context());
  fill(26);
  const second = await pull(taxii, bench.context({ cursor: first.cursor }));
  t.equal(second.items.length, 26);
});

t.test('a snapshot reads everything again, whatever the cursor', async (t) => {
  const { server, bench, fill } = await openTaxii(t, {}, { mode: 'snapshot' });
  fill(25);
  t.equal(taxii.defaults(bench.context().options).mode, 'snapshot');
  const first = await pull(taxii, bench.context());
  const second = await pull(taxii, bench.context({ cursor: first.cursor }));
  t.equal(second.items.length, 25);
  t.same(new Set(asked(server.requests, 'added_after')), new Set([null]));
});

t.test('the media type that a server accepts is found once and remembered', async (t) => {
  for (const [accept, refusal] of [
    ['application/taxii+json; version=2.1', 406],
    ['application/json', 415],
    ['*/*', 406],
  ] as const) {
    const { server, bench, fill } = await openTaxii(t, { accept, refusal });
    fill(3);
    const first = await pull(taxii, bench.context());
    t.equal(first.error, null);
    t.equal(first.items.length, 3);
    server.requests.length = 0;
    t.equal((await pull(taxii, bench.context({ cursor: first.cursor }))).error, null);
    t.same(
      server.requests.map(({ headers }) => headers.accept),
      [accept],
    );
  }
  const { server, bench } = await openTaxii(t, { accept: 'application/vnd.oasis.taxii+json; version=2.0' });
  const { error } = await pull(taxii, bench.context());
  t.match(messageOf(error), /takes none of the media types of TAXII 2.1/);
  t.equal(server.requests.length, 6, 'each spelling once');
});

t.test('the key is sent as the options say', async (t) => {
  const basic = `Basic ${Buffer.from(`apikey:${UPSTREAM_KEY}`).toString('base64')}`;
  for (const [header, value, options] of [
    ['authorization', `Bearer ${UPSTREAM_KEY}`, {}],
    ['authorization', `Token ${UPSTREAM_KEY}`, { scheme: 'Token' }],
    ['authorization', basic, { user: 'apikey' }],
    ['x-api-key', UPSTREAM_KEY, { header: 'X-API-Key' }],
    ['x-otx', `Key ${UPSTREAM_KEY}`, { header: 'X-OTX', scheme: 'Key' }],
  ] as const) {
    const { server, bench, fill } = await openTaxii(t, { auth: { header, value } }, options);
    fill(1);
    const { error, cursor, batches } = await pull(taxii, bench.context());
    t.equal(error, null, value.slice(0, 8));
    t.notMatch(JSON.stringify([cursor, batches]), UPSTREAM_KEY);
    t.ok(server.requests.every(({ url }) => !url.href.includes(UPSTREAM_KEY)));
  }
  const { bench } = await openTaxii(t, { auth: null }, { key: undefined });
  t.equal((await pull(taxii, bench.context())).error, null, 'or there is none');
});

t.test('a root at another host is looked for at the configured one, and the key goes nowhere else', async (t) => {
  const stranger = await startTaxii(t, { auth: null });
  const { bench, fill } = await openTaxii(t, { roots: [`${stranger.url}/api/root/`] });
  fill(2);
  const { items, error } = await pull(taxii, bench.context());
  t.equal(error, null);
  t.equal(items.length, 2);
  t.equal(stranger.requests.length, 0);
});

t.test('the only collection of a server may be replaced by another', async (t) => {
  const { server, bench, fill } = await openTaxii(t, {}, { collections: undefined });
  fill(5);
  const first = await pull(taxii, bench.context());
  const old = first.cursor?.replaceAll(COLLECTION, 'was-here-once') ?? null;
  const second = await pull(taxii, bench.context({ cursor: old }));
  t.match(messageOf(second.error), /was-here-once, the only one before, is no longer there/);
  server.requests.length = 0;
  const third = await pull(taxii, bench.context({ cursor: second.cursor }));
  t.equal(third.error, null);
  t.equal(third.items.length, 5);
});

t.test(
  'SOC Defenders as its documents have it: Basic, bundles, ids that are none, three names for one collection',
  async (t) => {
    const preset = presets['socdefenders-taxii']?.options as Record<string, string[]>;
    const basic = `Basic ${Buffer.from(`apikey:${UPSTREAM_KEY}`).toString('base64')}`;
    for (const id of ['all', 'all-iocs', 'soc-defenders-all']) {
      const clock = scriptedClock(START + MICROS_PER_DAY, { auto: true });
      const auth = { header: 'authorization', value: basic };
      const server = await startTaxii(t, {
        clock,
        auth,
        shape: 'bundle',
        nextRepeats: true,
        dates: { digits: 3, cut: 'stored' },
        alone: { id, title: 'IOCs' },
      });
      const { every: _, title: __, ...options } = preset;
      const bench = await openFeedBench(
        t,
        taxii,
        { ...options, url: server.url, key: new Secret(UPSTREAM_KEY), page_size: 10, lookback: 30 * 86_400_000 },
        { clock, base: t.testdir() },
      );
      for (let n = 0; n < 95; n += 1) {
        server.rows.push({
          added: START + n * 700_000,
          object: indicatorOf(n, { id: `indicator--soc-${n}`, created_by_ref: 'identity--socdefenders' }),
        });
      }
      const { items, error, rejected, cursor } = await pull(taxii, bench.context());
      t.equal(error, null, id);
      t.equal(idsOf(items).size, 95);
      t.same(rejected, []);
      const again = await pull(taxii, bench.context({ cursor }));
      t.equal(again.error, null);
      t.ok(again.items.length <= 6, 'and next time only the last second again');
      const spent = await bench.writer.account('account');
      const objects = asked(server.requests, 'limit').length;
      const used = spent.windows[86_400]?.used;
      t.equal(used, objects * 2.5 + (server.requests.length - objects), 'a request for objects counts 2.5 times');
    }
  },
);

t.test('match options are sent to the server, and changed ones begin anew', async (t) => {
  const match = { type: ['indicator', 'malware'], version: ['all'] };
  const { server, bench, fill } = await openTaxii(t, {}, { match });
  fill(25);
  const { cursor } = await pull(taxii, bench.context());
  t.same(new Set(asked(server.requests, 'match[type]')), new Set(['indicator,malware']));
  t.same(new Set(asked(server.requests, 'match[version]')), new Set(['all']), 'with next as well');
  const other = bench.context({ cursor });
  other.options = { ...other.options, match: { type: ['indicator'] } };
  t.equal((await pull(taxii, other)).items.length, 25);
});

t.test('a first pull goes back by the look-back, and a longer outage is reported once', async (t) => {
  const { clock, server, bench, fill } = await openTaxii(t, {}, { lookback: 30 * 86_400_000 });
  fill(5);
  const first = await pull(taxii, bench.context());
  t.equal(first.items.length, 5);
  t.same(asked(server.requests, 'added_after'), [formatMicros(START - 29 * MICROS_PER_DAY - 1_000_000)]);
  clock.set(START + 40 * MICROS_PER_DAY);
  server.rows.push({ added: START + 39 * MICROS_PER_DAY, object: indicatorOf(9) });
  const second = await pull(taxii, bench.context({ cursor: first.cursor }));
  const gaps = (batches: FeedBatch[]) => batches.flatMap(({ gap }) => gap ?? []);
  t.match(gaps(second.batches), [{ to: clock.now() - 30 * MICROS_PER_DAY }]);
  const third = await pull(taxii, bench.context({ cursor: second.cursor }));
  t.same(gaps(third.batches), []);
});

t.test('a server that was set up anew is discovered anew', async (t) => {
  const { server, bench, fill } = await openTaxii(t);
  fill(5);
  const { cursor } = await pull(taxii, bench.context());
  const moved = cursor?.replace(COLLECTION, 'was-here-once') ?? null;
  const again = await pull(taxii, bench.context({ cursor: moved }));
  t.equal(again.error, null);
  t.equal(again.items.length, 5);
  t.match(pathsOf(server.requests).slice(-4), [/was-here-once/, /taxii2/, /collections\/$/, OBJECTS]);
});

t.test('every refusal has a message of ours, without the key', async (t) => {
  const echo = `no ${UPSTREAM_KEY}`;
  const type = { 'content-type': 'application/taxii+json;version=2.1' };
  const of = (status: number, body = `{"title":"${echo}"}`, headers: Record<string, string> = type) => ({
    status,
    headers,
    body,
  });
  const cases: [TaxiiOptions, Parameters<typeof startTaxii>[1] extends infer _ ? any : never, string, RegExp][] = [
    [{ auth: { header: 'authorization', value: 'other' } }, null, 'upstream-unauthorized', /does not accept the key/],
    [{}, of(401), 'upstream-unauthorized', /does not accept the key/],
    [{}, of(403), 'upstream-forbidden', /does not let this key, or its plan, read its discovery/],
    [{}, of(400), 'upstream-failed', /does not understand the question/],
    [{}, of(500), 'upstream-failed', /answered 500/],
    [{}, of(200, echo), 'upstream-malformed', /no whole JSON/],
    [{}, of(200, `"${echo}"`), 'upstream-malformed', /no TAXII 2.1/],
    [{}, of(200, `{"error":"${echo}"}`), 'upstream-malformed', /no TAXII 2.1/],
    [{}, of(200, '{"title":"x","versions":["taxii-2.0"]}'), 'upstream-malformed', /does not offer TAXII 2.1/],
    [
      {},
      of(200, '{}', { 'content-type': 'application/vnd.oasis.taxii+json; version=2.0' }),
      'upstream-malformed',
      /TAXII 2.0/,
    ],
    [{}, of(200, `<x>${echo}</x>`, { 'content-type': 'application/xml' }), 'upstream-malformed', /TAXII 1/],
    [{}, 'html', 'upstream-malformed', /HTML/],
    [{}, 'half', 'upstream-malformed', /no whole JSON/],
    [{}, 'drop', 'upstream-failed', /could not be read/],
  ];
  for (const [serverOptions, down, code, message] of cases) {
    const { server, bench } = await openTaxii(t, serverOptions);
    server.down = down;
    const { error, batches } = await pull(taxii, bench.context());
    t.equal(codeOf(error), code, String(message));
    t.match(messageOf(error), message);
    t.notMatch(messageOf(error) + String((error as Error).stack), UPSTREAM_KEY);
    t.same(batches, []);
  }
  for (const [fault, message] of [
    [of(404), /does not know collection all/],
    [of(200, `{"title":"${echo}","http_status":"500"}`), /neither an envelope nor a bundle/],
    [of(200, '{"objects":{"a":1}}'), /neither an envelope nor a bundle/],
  ] as const) {
    const { server, bench } = await openTaxii(t);
    server.onRequest = ({ url }) => {
      server.down = url.pathname.endsWith('/objects/') ? fault : null;
    };
    const { error } = await pull(taxii, bench.context());
    t.match(messageOf(error), message);
    t.notMatch(messageOf(error), UPSTREAM_KEY);
  }
  const { bench } = await openTaxii(t, {}, { key: undefined });
  t.match(messageOf((await pull(taxii, bench.context())).error), /set key/);
});

t.test('a page is an envelope, a bundle or a list; dates that can’t be read are ignored', async (t) => {
  const page = async (body: unknown, first?: string, last?: string) => {
    const dates = {
      ...(first === undefined ? {} : { 'x-taxii-date-added-first': first }),
      ...(last === undefined ? {} : { 'x-taxii-date-added-last': last }),
    };
    const { fingerprint: _, count, ...rest } = await pageOf(JSON.stringify(body), dates);
    t.equal(count, rest.objects.length);
    return rest;
  };
  const none = {
    objects: [],
    more: null,
    next: null,
    first: null,
    last: null,
    ahead: null,
    at: START,
    isBundle: false,
  };
  t.same(await page({}), none);
  t.same(await page({ more: false, next: null, objects: null }), { ...none, more: false });
  t.same(await page({ more: 'yes', next: 7, objects: [1] }), { ...none, next: '7', objects: [1] });
  t.same(await page({ next: 'x'.repeat(5000) }), none);
  t.same(await page({ type: 'bundle', id: 'bundle--1', x: 1 }), { ...none, isBundle: true });
  t.same(await page([{}]), { ...none, objects: [{}], isBundle: true });
  const [a, b] = ['2026-01-01T00:00:00Z', '2026-01-01T00:00:01.5+00:00'];
  t.same(await page({}, a, b), { ...none, first: a, last: b });
  t.same(
    await page({}, a, 'undefined'),
    { ...none, first: a, last: a },
    'the OASIS server tells one object by its first date',
  );
  for (const body of [
    null,
    'x',
    { title: 'no' },
    { objects: 'x' },
    { objects: {} },
    { title: 'no', more: 'false' },
    { more: false, error: 'down' },
    { id: 'a', type: 'indicator' },
  ])
    await t.rejects(page(body), { code: 'upstream-malformed' }, JSON.stringify(body));
  for (const body of [
    { more: false, count: 0, x: 1 },
    { more: true, id: COLLECTION },
    { id: COLLECTION, count: 0 },
  ])
    t.same(await page(body), { ...none, more: 'more' in body ? body.more : null }, 'an empty envelope');
  t.same((await pageOf('', {}, 204)).count, 0, 'no content');
  await t.rejects(pageOf('', {}, 200), { code: 'upstream-malformed' });
  await t.rejects(pageOf('{"objects":[]} {}'), { code: 'upstream-malformed' }, 'two texts');
  t.equal((await pageOf('\ufeff{"objects":[{"a":1}]}', {}, 200, 1)).count, 1, 'behind a byte order mark');
  t.match(await pageOf('{"more":true,"next":"n","objects":[1,2]}'), { more: true, next: 'n', count: 2 });
  t.match(await pageOf('{"objects":[1,2],"next":"n","more":true}'), { more: true, next: 'n', count: 2 });
  t.match(await pageOf('{"\\u006fbjects":[1,2],"more":false}'), { more: false, count: 2 }, 'however it is spelt');
});

t.test('a date that lies ahead of the answer is not believed', async (t) => {
  const at = START + MICROS_PER_DAY / 2;
  const date = new Date(at / 1000).toUTCString();
  const [x, last] = ['x-taxii-date-added-first', 'x-taxii-date-added-last'];
  const [before, ahead] = [formatMicros(at + 299_000_000), formatMicros(at + 301_000_000)];
  const read = (headers: Record<string, string>) => pageOf('{}', headers);
  t.match(await read({ date, [x]: before, [last]: before }), { first: before, last: before, ahead: null, at });
  t.match(await read({ date, [x]: before, [last]: ahead }), { first: before, last: before, ahead });
  t.match(await read({ date, [x]: ahead, [last]: ahead }), { first: null, last: null, ahead });
  const mine = formatMicros(START + 301_000_000);
  t.match(await read({ [last]: mine }), { last: null, ahead: mine, at: START }, 'by our clock where it tells none');
  const never = 'Fri, 31 Dec 9999 23:59:59 GMT';
  const far = formatMicros(START + 2 * MICROS_PER_DAY);
  t.match(await read({ date: never, [last]: far }), { last: null, ahead: far }, 'and not by one that can not be right');
});

t.test('dates in other forms than a timestamp are read', async (t) => {
  const dates = { digits: 0, cut: 'stored' } as const;
  for (const writeDate of [
    (date: string) =>
      `${new Date(date).toUTCString().replace(/^(...), (..) (...) (....) (.*) GMT$/, '$1 $3 $2 $4 $5')} GMT+0000 (Coordinated Universal Time)`,
    (date: string) => new Date(date).toUTCString(),
    (date: string) => date.slice(0, -1),
    (date: string) => date.replace('T', ' '),
  ]) {
    const { server, bench, fill } = await openTaxii(t, { dates, writeDate });
    fill(25, 3_000_000);
    const first = await pull(taxii, bench.context());
    t.equal(first.items.length, 25, writeDate('2026-01-01T00:00:00Z'));
    server.requests.length = 0;
    const second = await pull(taxii, bench.context({ cursor: first.cursor }));
    t.ok(second.items.length <= 2, 'only what is new is asked for');
    t.match(asked(server.requests, 'added_after')[0], /^2026-01-01[T ]00:01:1[12]/);
    fill(27, 3_000_000);
    const third = await pull(taxii, bench.context({ cursor: second.cursor }));
    t.ok([25, 26].every((n) => idsOf(third.items).has(indicatorOf(n)['id'])));
  }
});

t.test('a server that answers the rows of the date in added_after again is read to its end', async (t) => {
  for (const paging of ['next', 'cursorless'] as const) {
    const { server, bench } = await openTaxii(t, { isInclusive: true, paging });
    server.rows = Array.from({ length: 45 }, (_, n) => ({
      added: START + 1 + Math.floor(n / 5) * 7,
      object: indicatorOf(n),
    }));
    const first = await pull(taxii, bench.context());
    t.equal(first.error, null);
    t.same(first.rejected, []);
    t.equal(idsOf(first.items).size, 45, paging);
    const second = await pull(taxii, bench.context({ cursor: first.cursor }));
    t.equal(second.error, null);
    t.equal(second.items.length, 5, 'the last date again, and no more');
    t.ok(server.requests.length < 40);
  }
});

t.test('a date in the far future does not move the cursor, and new objects still come', async (t) => {
  const { clock, server, bench, fill } = await openTaxii(t);
  fill(15);
  server.rows.push({ added: Date.UTC(9999, 0) * 1000, object: indicatorOf(900) });
  const first = await pull(taxii, bench.context());
  t.equal(first.error, null);
  t.equal(first.items.length, 16);
  t.equal(JSON.parse(first.cursor ?? '').places.all.after, formatMicros(START + 10 * 7), 'the last believable date');
  t.match(
    first.batches.flatMap(({ note }) => note ?? []),
    [/ahead of its own clock \(9999-/],
  );
  server.rows.push({ added: clock.now() - 1_000_000, object: indicatorOf(901) });
  const second = await pull(taxii, bench.context({ cursor: first.cursor }));
  t.ok(idsOf(second.items).has(indicatorOf(901)['id']), 'what is new comes');

  // A bookmark that was kept before dates were looked at.
  const frozen = first.cursor?.replace(/"after":"[^"]+"/, '"after":"9999-01-01T00:00:00.000001Z"') ?? null;
  server.rows = server.rows.filter(({ added }) => added < clock.now());
  server.requests.length = 0;
  const healed = await pull(taxii, bench.context({ cursor: frozen }));
  t.equal(healed.error, null);
  t.equal(idsOf(healed.items).size, 16, 'all is read again');
  t.same(asked(server.requests, 'added_after').slice(0, 2), ['9999-01-01T00:00:00.000001Z', null]);
  t.match(
    healed.batches.flatMap(({ note }) => note ?? []),
    [/bookmark 9999-.* of collection all lay ahead/],
  );
  t.not(JSON.parse(healed.cursor ?? '').places.all.after, '9999-01-01T00:00:00.000001Z');
  const after = await pull(taxii, bench.context({ cursor: healed.cursor }));
  t.equal(after.items.length, 0, 'once');
  t.same(
    after.batches.flatMap(({ note }) => note ?? []),
    [],
  );
});

t.test('a cursor that is ahead of one clock only is kept', async (t) => {
  for (const [server, ours] of [
    [-600, 0],
    [0, -600],
  ] as const) {
    const { clock, server: upstream, bench } = await openTaxii(t);
    const at = clock.now();
    upstream.rows = [{ added: at - 1_000_001, object: indicatorOf(1) }];
    const { cursor } = await pull(taxii, bench.context());
    clock.set(at + ours * 1_000_000);
    const date = new Date((at + server * 1_000_000) / 1000).toUTCString();
    upstream.down = { status: 200, headers: { date }, body: '{}' };
    upstream.requests.length = 0;
    const later = await pull(taxii, bench.context({ cursor }));
    t.equal(upstream.requests.length, 1, 'nothing is read anew');
    t.equal(later.cursor, cursor);
  }
});

t.test('paging by header ends at a date that is not believed, and reports that objects may be missing', async (t) => {
  const { server, bench, fill } = await openTaxii(t, { paging: 'cursorless', maxLimit: 10 });
  fill(5);
  for (let n = 100; n < 130; n += 1) server.rows.push({ added: Date.UTC(9999, 0) * 1000 + n, object: indicatorOf(n) });
  const { items, error, rejected, batches } = await pull(taxii, bench.context());
  t.equal(error, null);
  t.ok(idsOf(items).size >= 14, 'up to the last row that is dated as it can be');
  t.match(rejected, [{ reason: 'not-served' }]);
  t.match(batches.flatMap(({ note }) => note ?? []).at(-1), /something may be missing/);
  t.ok(server.requests.length < 30);
});

t.test('an envelope of any size is read in pieces, whatever page_size is', async (t) => {
  const { server, bench, fill } = await openTaxii(t, {}, { page_size: 100 });
  fill(40_000);
  const text = JSON.stringify({
    objects: server.rows.map(({ object }) => ({ ...(object as JsonObject), x: 'y'.repeat(700) })),
  });
  t.ok(text.length > 37_000_000);
  server.onRequest = ({ url }) => {
    const isFirst = url.pathname === OBJECTS && !url.searchParams.has('added_after');
    const dates = { 'x-taxii-date-added-last': formatMicros(START + 39_999 * 7) };
    server.down = isFirst ? { status: 200, body: text, headers: dates } : null;
  };
  const { items, batches, error, cursor } = await pull(taxii, bench.context());
  t.equal(error, null);
  t.equal(idsOf(items).size, 40_000);
  t.ok(
    batches.every(({ items, rejected }) => items.length + rejected.length <= 10_000),
    'no batch is larger than the writer takes',
  );
  const moved = batches.findIndex(({ cursor }) => JSON.parse(cursor ?? '{}').places?.all?.after !== null);
  t.equal(
    batches.slice(0, moved + 1).reduce((sum, { items }) => sum + items.length, 0),
    40_000,
    'the bookmark last',
  );
  server.requests.length = 0;
  t.equal((await pull(taxii, bench.context({ cursor }))).items.length, 0);
});

t.test('an envelope that breaks off does not move the cursor', async (t) => {
  const { server, bench, fill } = await openTaxii(t, {}, { page_size: 1000 });
  fill(12_000);
  const text = JSON.stringify({ objects: server.rows.map(({ object }) => object) });
  const dates = { 'x-taxii-date-added-last': formatMicros(START + 9 * 7) };
  server.onRequest = ({ url }) => {
    server.down = url.pathname === OBJECTS ? { status: 200, body: text.slice(0, -500), headers: dates } : null;
  };
  const { items, error, cursor } = await pull(taxii, bench.context());
  t.equal(codeOf(error), 'upstream-malformed');
  t.match(messageOf(error), /^localhost:\d+ sent no whole JSON for collection all\.$/);
  t.ok(items.length >= 9000, 'what came before is kept');
  t.equal(JSON.parse(cursor ?? '').places.all.after, null);
  server.onRequest = null;
  server.down = null;
  t.equal(idsOf((await pull(taxii, bench.context({ cursor }))).items).size, 12_000);
});

t.test('a server that refuses a large page is asked for smaller ones, and the size is remembered', async (t) => {
  for (const status of [413, 400, 422]) {
    const { server, bench, fill } = await openTaxii(t, {}, { page_size: 1000 });
    fill(150);
    let most = 100;
    server.onRequest = ({ url }) => {
      const isTooMuch = Number(url.searchParams.get('limit') ?? 0) > most;
      server.down = isTooMuch ? { status, body: '{"title":"Too much"}' } : null;
    };
    const first = await pull(taxii, bench.context());
    t.equal(first.error, null, String(status));
    t.equal(idsOf(first.items).size, 150);
    t.same(asked(server.requests, 'limit'), ['1000', '500', '200', '100', '100']);
    server.requests.length = 0;
    const second = await pull(taxii, bench.context({ cursor: first.cursor }));
    t.equal(second.error, null);
    t.same(asked(server.requests, 'limit'), ['100']);
    most = 0;
    server.requests.length = 0;
    const third = await pull(taxii, bench.context({ cursor: first.cursor }));
    t.match(messageOf(third.error), /Pages of 100 objects, and of fewer down to 10 are refused: see page_size/);
    t.same(asked(server.requests, 'limit'), ['100', '50', '20', '10'], 'so often and no oftener');
  }
});

t.test('a refusal in the middle of a collection is about the page size only for 413', async (t) => {
  for (const [status, more] of [
    [413, ['50', '20']],
    [400, []],
  ] as const) {
    const { server, bench, fill } = await openTaxii(t, {}, { page_size: 100 });
    fill(250);
    server.onRequest = ({ url }) => {
      const isTooMuch = url.searchParams.get('next') === '100' && Number(url.searchParams.get('limit')) > 20;
      server.down = isTooMuch ? { status, body: '{}' } : null;
    };
    const { error, items } = await pull(taxii, bench.context());
    t.same(asked(server.requests, 'limit').slice(2, 2 + more.length), more);
    t.equal(error === null, status === 413);
    t.equal(idsOf(items).size, status === 413 ? 250 : 100);
  }
});

t.test('the fingerprint of a page differs for different objects, whatever they hold', async (t) => {
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const textOf = (value: unknown): string => (value === deep ? deep : JSON.stringify(value));
  const fingerprint = async (objects: unknown[]) =>
    (await pageOf(`{"objects":[${objects.map(textOf).join()}]}`)).fingerprint;
  const prints = [[deep], ['b', 'a'], [{ id: 'a' }], [{ id: 'a', modified: 'b' }], ['a'], [7]];
  t.equal(new Set(await Promise.all(prints.map(fingerprint))).size, prints.length);
});

t.test('behind a date that is cut, reading goes on from the last full second', async (t) => {
  t.same(restartsBehind('2026-01-01T00:00:00.123456Z', false), ['2026-01-01T00:00:00.123456Z']);
  t.same(restartsBehind('2026-01-01T00:00:05.123Z', false), [
    '2026-01-01T00:00:05.000Z',
    '2026-01-01T00:00:05.122Z',
    '2026-01-01T00:00:05.123Z',
  ]);
  t.same(restartsBehind('2026-01-01T00:00:05Z', false), ['2026-01-01T00:00:04Z', '2026-01-01T00:00:05Z']);
  t.same(restartsBehind('2026-01-01T00:00:05.000000Z', false), [
    '2026-01-01T00:00:04.000000Z',
    '2026-01-01T00:00:05.000000Z',
  ]);
  t.same(restartsBehind('2026-01-01T00:00:05.000000Z', true), ['2026-01-01T00:00:05.000000Z']);
});

import t, { type Test } from 'tap';
import { readPage } from '../../src/feeds/misp/page.ts';
import { mispRest } from '../../src/feeds/misp-rest.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { isJsonObject, type JsonObject } from '../../src/model/json.ts';
import { Secret } from '../../src/model/secret.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { codeOf, openFeedBench, pull } from '../helpers/feed.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { judgeStix } from '../helpers/judge-stix.ts';
import { attributeOf, CHANGED, type MispOptions, startMisp } from '../helpers/misp-upstream.ts';
import { uuidOf } from '../helpers/store.ts';

const KEY = 'automation-key-0123456789';
const NOW = CHANGED * MICROS_PER_SECOND + MICROS_PER_DAY;
const HOUR = 3_600_000;

async function openMisp(t: Test, options: object = {}, serverOptions: MispOptions = {}) {
  const misp = await startMisp(t, { auth: { header: 'authorization', value: KEY }, ...serverOptions });
  const clock = scriptedClock(NOW, { auto: true });
  const all = {
    url: `${misp.url}/`,
    key: new Secret(KEY),
    overlap: HOUR,
    per_minute: 100_000,
    page_size: 10,
    ...options,
  };
  const bench = await openFeedBench(t, mispRest, all, { clock });
  const fill = (count: number): void => {
    while (misp.attributes.length < count) misp.attributes.push(attributeOf(misp.attributes.length));
  };
  const asked = (): JsonObject[] => misp.requests.splice(0).map(({ body }) => body);
  return { misp, bench, fill, asked, clock };
}

const valuesOf = (items: readonly unknown[]): unknown[] => items.map((item) => isJsonObject(item) && item['value']);
const event = (over: JsonObject = {}): JsonObject => ({
  id: '7',
  uuid: uuidOf('event'),
  info: 'Campaign of the year',
  Orgc: { name: 'Example CERT' },
  published: true,
  ...over,
});

t.test('a pull asks for what counts, page by page until one is empty', async (t) => {
  const { misp, bench, fill, asked } = await openMisp(t);
  fill(20);
  misp.attributes.push(attributeOf(20, { to_ids: false }), attributeOf(21, { deleted: true }));
  const { items, error } = await pull(mispRest, bench.context());
  t.equal(error, null);
  t.equal(items.length, 20);
  const bodies = asked();
  t.same(
    bodies.map(({ page, limit }) => [page, limit]),
    [
      [1, 10],
      [2, 10],
      [3, 10],
    ],
  );
  t.match(bodies[0], { returnFormat: 'json', to_ids: 1, published: 1, enforceWarninglist: 0, includeEventTags: 1 });
  for (const name of ['timestamp', 'publish_timestamp', 'deleted', 'tags', 'type'])
    t.notOk(name in (bodies[0] ?? {}), name);
});

t.test('filters are sent as MISP names them', async (t) => {
  const options = {
    tags: ['tlp:clear', '!old'],
    types: ['ip-dst'],
    enforce_warninglist: true,
    published: false,
    to_ids: 'all',
  };
  const { bench, asked } = await openMisp(t, { ...options, lookback: 24 * HOUR });
  await pull(mispRest, bench.context());
  const [body = {}] = asked();
  const since = (NOW - MICROS_PER_DAY) / MICROS_PER_SECOND;
  t.match(body, { tags: ['tlp:clear', '!old'], type: ['ip-dst'], enforceWarninglist: 1, timestamp: since });
  for (const name of ['published', 'publish_timestamp', 'to_ids']) t.notOk(name in body, name);
});

t.test('the next pull begins a little before the last one, and asks for deleted ones too', async (t) => {
  const { bench, fill, asked, clock } = await openMisp(t);
  fill(3);
  const first = await pull(mispRest, bench.context());
  asked();
  await clock.advance(HOUR);
  const second = await pull(mispRest, bench.context({ cursor: first.cursor }));
  const [body = {}] = asked();
  t.match(body, { publish_timestamp: NOW / MICROS_PER_SECOND - 3600, deleted: [0, 1] });
  t.notOk('to_ids' in body);
  t.equal(second.batches.at(-1)?.last, true);
  const other = await openFeedBench(t, mispRest, {
    url: bench.context().options.url,
    key: new Secret(KEY),
    overlap: HOUR,
    page_size: 10,
    to_ids: 'all',
  });
  await pull(mispRest, other.context({ cursor: first.cursor }));
  t.notOk('publish_timestamp' in (asked()[0] ?? {}), 'another query begins anew');
});

t.test('a bookmark ahead of our clock is not believed', async (t) => {
  const { bench, fill, asked, clock } = await openMisp(t);
  fill(1);
  const { cursor } = await pull(mispRest, bench.context());
  asked();
  clock.set(NOW - 2 * MICROS_PER_DAY);
  await pull(mispRest, bench.context({ cursor }));
  t.notOk('publish_timestamp' in (asked()[0] ?? {}));
});

t.test('a server that gives fewer than it is asked for is read to its end', async (t) => {
  const { bench, fill } = await openMisp(t, {}, { maxLimit: 4 });
  fill(11);
  t.equal((await pull(mispRest, bench.context())).items.length, 11);
});

t.test('a server that looks at neither page nor limit has given everything at once', async (t) => {
  const { bench, fill, asked } = await openMisp(t, {}, { ignoresPage: true });
  fill(25);
  const { items, error } = await pull(mispRest, bench.context());
  t.same([items.length, error, asked().length], [25, null, 2]);
});

t.test('a server that answers the same page for ever is a failure', async (t) => {
  const { bench, fill } = await openMisp(t, {}, { repeatsPage: true });
  fill(25);
  const { error, batches } = await pull(mispRest, bench.context());
  t.match(error, { code: 'upstream-malformed', message: /page 2 as it did the page before/ });
  t.notOk(batches.some(({ last }) => last));
});

t.test('an attribute that is nested as deeply as can be is one among others', async (t) => {
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  const json = async () => JSON.parse(`{"response":{"Attribute":[${deep},{"uuid":${deep}},{"uuid":"1"}]}}`);
  const response = { status: 200, headers: {}, body: (async function* () {})(), json };
  t.equal((await readPage(response, 'misp.example')).attributes.length, 3);
});

t.test('a first pull that is cut off goes on at its page', async (t) => {
  const { misp, bench, fill, asked } = await openMisp(t);
  fill(50);
  misp.onRequest = ({ body }) => {
    misp.down = body['page'] === 4 ? { status: 503 } : null;
  };
  const first = await pull(mispRest, bench.context());
  t.equal(codeOf(first.error), 'upstream-failed');
  misp.onRequest = null;
  misp.down = null;
  asked();
  const second = await pull(mispRest, bench.context({ cursor: first.cursor }));
  t.same(
    asked().map(({ page }) => page),
    [3, 4, 5, 6],
    'the page before is read again: rows may have moved',
  );
  t.equal(new Set([...first.items, ...second.items].map((item) => JSON.stringify(item))).size, 50);
});

t.test('what is no answer of MISP, and a key that it does not take', async (t) => {
  const { misp, bench } = await openMisp(t);
  misp.down = 'html';
  t.equal(codeOf((await pull(mispRest, bench.context())).error), 'upstream-malformed');
  for (const body of ['{"errors":["no"]}', '["a"]', '"a"', '{"response":{"Event":[]}}']) {
    misp.down = { status: 200, body };
    t.match((await pull(mispRest, bench.context())).error, {
      code: 'upstream-malformed',
      message: /list of attributes/,
    });
  }
  misp.down = { status: 200, body: '{"Attribute":[]}' };
  t.equal((await pull(mispRest, bench.context())).error, null);
  misp.down = null;
  misp.options.auth = { header: 'authorization', value: 'another' };
  const { error } = await pull(mispRest, bench.context());
  t.equal(codeOf(error), 'upstream-unauthorized');
  t.notMatch(JSON.stringify(error), KEY);
});

t.test('the event of an attribute names its source, and its tags are those of the attribute', async (t) => {
  const { misp, bench } = await openMisp(t);
  const Tag = [{ name: 'tlp:green', inherited: 1 }, { name: 'misp-galaxy:rat="njRAT"' }];
  misp.attributes = [
    attributeOf(1, { type: 'ip-dst|port', value: '198.51.100.4|81', Event: event(), Tag }),
    attributeOf(2, { Event: event({ uuid: '../x', id: '8' }) }),
  ];
  const { items } = await pull(mispRest, bench.context());
  t.match(items[0], {
    id: `indicator--${uuidOf('attribute 1')}`,
    version: CHANGED,
    value: '198.51.100.4',
    port: '81',
    malwareFamily: 'njRAT',
    labels: ['tlp:green'],
    source: {
      feed_name: 'Example CERT',
      article_title: 'Campaign of the year',
      article_url: `${misp.url}/events/view/${uuidOf('event')}`,
    },
  });
  t.match(items[1], { source: { article_url: undefined } });
  t.same(valuesOf(items), ['198.51.100.4', 'host-2.example.com']);
});

t.test('deleted, changed and no longer marked attributes are withdrawn', async (t) => {
  const clock = scriptedClock(NOW, { auto: true });
  const misp = await startMisp(t, { auth: { header: 'authorization', value: KEY } });
  const yaml = `
data: ./data
feeds:
  misp: { format: misp-rest, url: "${misp.url}", key: { env: KEY }, internal: true, per_minute: 100000, overlap: 30d }
pools: { main: { feeds: [misp] } }
collections: { all: { pool: main } }
`;
  const gateway = await openGateway(t, t.testdir(), yaml, { clock, env: { KEY } });
  const poll = async (): Promise<void> => {
    await clock.advance(HOUR);
    t.match(await gateway.side.poll('misp'), { outcome: 'whole', error: null });
  };
  const living = async (): Promise<string[]> => {
    const last = new Map((await readAll(gateway, 'all')).map((object) => [object['id'], object]));
    const alive = [...last.values()].filter(({ type, revoked }) => type === 'indicator' && revoked !== true);
    return alive.map(({ name }) => String(name)).sort();
  };
  const both = { type: 'domain|ip', value: 'both.example.com|198.51.100.9' };
  misp.attributes = [attributeOf(1), attributeOf(2), attributeOf(3), attributeOf(4, both)];
  await poll();
  const before = ['198.51.100.9', 'both.example.com', 'host-1.example.com', 'host-2.example.com', 'host-3.example.com'];
  t.same(await living(), before);
  await poll();
  t.same(await living(), before, 'what is said again changes nothing');
  const timestamp = String(CHANGED + 60);
  misp.attributes = [
    attributeOf(1, { deleted: true, timestamp }),
    attributeOf(2, { to_ids: false, timestamp }),
    attributeOf(3, { value: 'other.example.com', timestamp }),
    attributeOf(4, { value: 'both.example.com', type: 'domain', timestamp }),
  ];
  await poll();
  t.same(await living(), ['both.example.com', 'other.example.com']);
  const texts = (await readAll(gateway, 'all')).map((object) => JSON.stringify(object));
  for (const finding of (await judgeStix(t, texts)) ?? []) t.same(finding.errors, [], finding.id);
});

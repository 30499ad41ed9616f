// slow (10 s): batches and archives as large as they may be
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { parsePreset, presets } from '../../src/feeds/presets.ts';
import { feedFormats } from '../../src/feeds/registry.ts';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Json } from '../../src/model/json.ts';
import { Secret } from '../../src/model/secret.ts';
import { type OpenScenario, testFeedFormat } from '../contracts/feed.contract.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { loadYaml } from '../helpers/config.ts';
import { openFeedBench, pull } from '../helpers/feed.ts';
import { attributeOf, CHANGED, eventOf, startMisp } from '../helpers/misp-upstream.ts';
import { START, uuidOf } from '../helpers/store.ts';
import { indicatorOf, startTaxii } from '../helpers/taxii-upstream.ts';
import { fullRow, shortRow, startUpstream, UPSTREAM_KEY } from '../helpers/upstream.ts';

/** A format that is registered without a scenario here does not compile. */
const scenarios: Record<keyof typeof feedFormats, OpenScenario> = {
  async csv(t: Test) {
    const dir = t.testdir({ drop: {} });
    const options = { path: './drop', fields: { value: 'url', labels: 'tags' } };
    let text = '';
    const write = (): void => writeFileSync(join(dir, 'drop', 'table.csv'), text);
    return {
      bench: await openFeedBench(t, feedFormats.csv, options, { base: dir }),
      serve(count, odd = 0) {
        const rows = Array.from({ length: count }, (_, n) => `${n},"http://host-${n}.example.com/","a,b"\r\n`);
        const others = Array.from({ length: odd }, (_, n) => `"odd ${n}\r\n`);
        text = ['# a table\r\n', 'id,url,tags\r\n', ...rows, ...others].join('');
        write();
      },
      breakDown() {
        writeFileSync(join(dir, 'drop', 'table.csv.gz'), gzipSync(text).subarray(0, -9));
        rmSync(join(dir, 'drop', 'table.csv'));
      },
    };
  },

  async collection(t: Test) {
    let objects: Json[] = [];
    let isDown = false;
    const contributed = async () =>
      (async function* () {
        for (let start = 0; start <= objects.length; start += 100) {
          yield objects.slice(start, start + 100).map((object) => ({ object, bytes: 500 }));
          if (isDown) throw new GatewayError('upstream-failed', 'The collection can not be read.');
        }
      })();
    return {
      bench: await openFeedBench(t, feedFormats.collection, { collection: 'drop' }, { contributed }),
      serve(count, odd = 0) {
        const rows = Array.from({ length: count }, (_, n) => indicatorOf(n));
        objects = [...rows, ...Array.from({ length: odd }, (_, n) => `odd ${n}`)];
      },
      breakDown() {
        isDown = true;
      },
    };
  },

  async socdefenders(t: Test) {
    const clock = scriptedClock(START, { auto: true });
    const upstream = await startUpstream(t, { clock });
    const options = { plan: 'pro', key: new Secret(UPSTREAM_KEY), url: upstream.url };
    return {
      bench: await openFeedBench(t, feedFormats.socdefenders, options, { clock }),
      serve(count, odd = 0) {
        // What is there at first is old by then; what comes later is new.
        const old = upstream.rows.length === 0 ? count : upstream.rows.length;
        const at = (n: number): number => (n < old ? START - 3600 * MICROS_PER_SECOND + n * 20_000 : clock.now());
        upstream.rows = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? fullRow(n, at(n)) : shortRow(n, at(n))));
        for (let n = 0; n < odd; n += 1) upstream.rows.push({ updated: at(n), row: `odd ${n}` });
      },
      breakDown() {
        upstream.onRequest = () => {
          if (upstream.requests.length === 2) upstream.down = 'half';
        };
      },
    };
  },

  async json(t: Test) {
    const dir = t.testdir({ drop: {} });
    let count = 0;
    const write = (end: string, odd = 0): void => {
      const rows = Array.from({ length: count }, (_, n) => JSON.stringify({ ioc: `host-${n}.example.com`, id: n }));
      const others = Array.from({ length: odd }, (_, n) => `"odd ${n}"`);
      writeFileSync(
        join(dir, 'drop', 'list.json'),
        `{"query_status":"ok","data":[${[...rows, ...others].join(',\n')}${end}`,
      );
    };
    const options = { path: './drop', items: '$.data[*]', fields: { value: 'ioc', id: 'id' } };
    return {
      bench: await openFeedBench(t, feedFormats.json, options, { base: dir }),
      serve(rows, odd = 0) {
        count = rows;
        write(']}', odd);
      },
      breakDown: () => write(', {"ioc":'),
    };
  },

  async stix(t: Test) {
    const dir = t.testdir({ drop: {} });
    const objectOf = (n: number): object => ({
      type: 'indicator',
      id: `indicator--${uuidOf(String(n))}`,
      pattern: `[domain-name:value = 'host-${n}.example.com']`,
    });
    let count = 0;
    const write = (end: string, odd = 0): void => {
      const objects = Array.from({ length: count }, (_, n) => JSON.stringify(objectOf(n), null, 2));
      const others = Array.from({ length: odd }, (_, n) => `"odd ${n}"`);
      const list = [...objects, ...others].join(',\n');
      writeFileSync(join(dir, 'drop', 'bundle.json'), `{"type":"bundle",\n"objects":[${list}${end}`);
    };
    return {
      bench: await openFeedBench(t, feedFormats.stix, { path: './drop' }, { base: dir }),
      serve(rows, odd = 0) {
        count = rows;
        write(']}', odd);
      },
      breakDown: () => write(', {"type":'),
    };
  },

  async 'misp-feed'(t: Test) {
    const misp = await startMisp(t);
    let served = 0;
    return {
      bench: await openFeedBench(t, feedFormats['misp-feed'], { url: `${misp.url}/feed`, per_minute: 100_000 }),
      serve(count, odd = 0) {
        // What comes later is in an event of its own: a changed event says all of its rows again, in a new version.
        const rows: Json[] = Array.from({ length: count - served }, (_, n) => attributeOf(served + n));
        for (let n = 0; n < odd; n += 1) rows.push(`odd ${n}`);
        const event = eventOf(served, rows);
        misp.events.set(String(event['uuid']), event);
        served = count;
      },
      breakDown() {
        const event = eventOf(1, [attributeOf(1)]);
        misp.events.set(String(event['uuid']), event);
        misp.faults.set(`/feed/${event['uuid']}.json`, 'reset');
      },
    };
  },

  async 'misp-rest'(t: Test) {
    const misp = await startMisp(t, { auth: { header: 'authorization', value: UPSTREAM_KEY } });
    const clock = scriptedClock(CHANGED * MICROS_PER_SECOND, { auto: true });
    const options = { url: misp.url, key: new Secret(UPSTREAM_KEY), overlap: 3_600_000, per_minute: 100_000 };
    return {
      bench: await openFeedBench(t, feedFormats['misp-rest'], options, { clock }),
      serve(count, odd = 0) {
        const { attributes } = misp;
        while (attributes.length < count) attributes.push(attributeOf(attributes.length));
        for (let n = 0; n < odd; n += 1) attributes.push(`odd ${n}`);
      },
      breakDown() {
        misp.onRequest = ({ body }) => {
          if (body['page'] === 2) misp.down = 'half';
        };
      },
    };
  },

  async taxii(t: Test) {
    const clock = scriptedClock(START, { auto: true });
    const server = await startTaxii(t, { clock });
    const options = { url: server.url, key: new Secret(UPSTREAM_KEY), collections: ['all'] };
    return {
      bench: await openFeedBench(t, feedFormats.taxii, options, { clock }),
      serve(count, odd = 0) {
        const { rows } = server;
        while (rows.length < count) rows.push({ added: START + rows.length * 7, object: indicatorOf(rows.length) });
        for (let n = 0; n < odd; n += 1) rows.push({ added: START + rows.length * 7, object: `odd ${n}` });
      },
      breakDown() {
        server.onRequest = ({ url }) => {
          if (url.searchParams.has('next')) server.down = 'half';
        };
      },
    };
  },

  async text(t: Test) {
    const dir = t.testdir({ drop: {} });
    let list = '';
    const write = (bytes: Buffer): void => writeFileSync(join(dir, 'drop', 'list.gz'), bytes);
    return {
      bench: await openFeedBench(t, feedFormats.text, { path: './drop' }, { base: dir }),
      serve(count, odd = 0) {
        const rows = Array.from({ length: count }, (_, n) => `host-${n}.example.com`);
        const others = Array.from({ length: odd }, (_, n) => `192.0.2.9-192.0.2.${n}`);
        list = ['# A list', ...rows, ...others].join('\n');
        write(gzipSync(list));
      },
      // Half of what was packed.
      breakDown: () => write(gzipSync(list).subarray(0, gzipSync(list).length / 2)),
    };
  },
};

for (const [name, format] of Object.entries(feedFormats)) {
  testFeedFormat(t, name, format, scenarios[name as keyof typeof feedFormats]);
}

t.test('every preset loads as a feed when it has its key and what it asks for', async (t) => {
  for (const [name, { facts }] of Object.entries(presets)) {
    const asked = Object.entries(facts.asks ?? {}).map(([key, example]) => `, ${key}: '${example}'`);
    const key = facts.key === 'none' ? '' : ', key: { env: KEY }';
    const yaml = `
data: ./data
feeds: { one: { preset: ${name}${key}${asked.join('')} } }
pools: { main: { feeds: [one] } }
collections: { all: { pool: main } }
`;
    const { config } = loadYaml(t.testdir(), yaml, { KEY: 'k' });
    t.equal(config.feeds[0]?.definition.format, presets[name]?.format);
    t.ok(config.feeds[0]?.definition.title);
    t.not(config.feeds[0]?.definition.title, 'one', 'it says whose it is');
  }
});

t.test('a preset file has a title, a format, options and facts, and nothing else', async (t) => {
  const facts = {
    homepage: 'https://feeds.example/',
    key: 'none',
    min_every: '1h',
    tags: ['ip'],
    read: '2026-11-27',
  };
  const options = { url: 'https://feeds.example/' };
  const sound = { title: 'A list of addresses', format: 'text', options, facts };
  const parsed = (preset: object) => parsePreset('one.yaml', JSON.stringify(preset));
  t.strictSame(parsed(sound), sound);
  const { options: _, ...without } = sound;
  const refused: object[] = [
    { ...sound, url: 'x' },
    without,
    { ...sound, options: [] },
    { ...sound, facts: { ...facts, min_every: 'often' } },
    { ...sound, facts: { ...facts, key: true } },
    { ...sound, facts: { ...facts, tags: [] } },
    { ...sound, title: 'a\nb c d e' },
  ];
  for (const preset of refused) {
    t.throws(() => parsed(preset), { code: 'internal', message: /^one\.yaml: / }, JSON.stringify(preset));
  }
});

t.test('a stix or taxii feed without a title is called by its name', async (t) => {
  const yaml = `
data: ./data
feeds:
  house: { format: stix, path: ./drop }
  acme: { format: taxii, url: "https://acme.example/taxii2/", collections: [all] }
  other: { format: stix, path: ./drop, title: Other }
pools: { main: { feeds: [house, acme, other] } }
collections: { all: { pool: main } }
`;
  const { config } = loadYaml(t.testdir(), yaml, {});
  t.strictSame(
    config.feeds.map(({ definition }) => [definition.title, definition.aliases]),
    [
      ['house', []],
      ['acme', []],
      ['Other', []],
    ],
  );
});

t.test('options that a format refuses are reported by the configuration, with their line', async (t) => {
  const cases: [string, RegExp][] = [
    ['{ preset: socdefenders, key: { env: KEY }, page_size: 1000 }', /page_size is at most 100 on the free plan/],
    ['{ preset: socdefenders, key: { env: BAD } }', /key holds a space/],
    ['{ preset: socdefenders, key: { env: KEY }, every: 1m }', /every/],
    ['{ preset: socdefenders, key: { env: KEY }, filter: { kind: ip } }', /kind/],
    ['{ preset: socdefenders, key: { env: KEY }, url: "https://u:p@host.example" }', /scheme and host/],
    ['{ format: stix }', /either path or url/],
    ['{ format: stix, path: a, url: "https://feeds.example/stix.json" }', /either path or url/],
    ['{ format: stix, path: a, key: { env: KEY } }', /key goes with url/],
    ['{ format: stix, url: "file:///etc/passwd" }', /http/],
    ['{ format: text }', /either path or url/],
    ['{ format: text, path: a, pattern: "(" }', /pattern: .*missing closing \)/],
    ['{ format: text, path: a, pattern: "(?P<host>a)" }', /pattern needs a group named value/],
    ['{ format: text, path: a, pattern: "(?P<value>a)", fields: { port: port } }', /pattern has no group port/],
    ['{ format: text, path: a, pattern: "(a)", fields: { value: 2 } }', /pattern has no group 2/],
    ['{ format: text, path: a, pattern: "(a{900})b{200}" }', /more than 1000 steps/],
    ['{ format: text, path: a, pattern: a, delimiter: "|" }', /pattern goes without/],
    ['{ format: text, path: a, fields: { value: host } }', /fields of a line have numbers/],
    ['{ format: text, path: a, layout: hosts, fields: { value: 1 } }', /layout hosts goes without/],
    ['{ format: text, path: a, layout: csv }', /layout/],
    ['{ format: taxii }', /url/],
    ['{ format: taxii, url: "https://h.example/taxii2/?x=1" }', /without user, password and query/],
    [
      '{ format: taxii, url: "https://h.example/r/collections/all/objects/", collections: [all] }',
      /names a collection/,
    ],
    ['{ format: taxii, url: "https://h.example/", user: me, header: x, key: { env: KEY } }', /without header/],
    ['{ format: taxii, url: "https://h.example/", user: me }', /need a key/],
    ['{ format: taxii, url: "https://h.example/", key: { env: BAD } }', /key holds a space/],
    ['{ format: taxii, url: "https://h.example/", tls: { cert: { env: KEY } } }', /both cert and key/],
    ['{ format: taxii, url: "https://h.example/", tls: { ca: { env: KEY } } }', /tls.ca holds no PEM certificate/],
    ['{ format: taxii, url: "http://h.example/", tls: { ca: { env: KEY } } }', /tls goes with an https address/],
    ['{ format: taxii, url: "https://h.example/", match: { kind: [x] } }', /kind/],
    ['{ format: taxii, url: "https://h.example/", mode: both }', /mode/],
    ['{ format: taxii, url: "https://h.example/", mode: snapshot, match: { version: [all] } }', /of last versions/],
  ];
  for (const [feed, message] of cases) {
    const yaml = `
data: ./data
feeds: { one: ${feed} }
pools: { main: { feeds: [one] } }
collections: { all: { pool: main } }
`;
    const load = () => loadYaml(t.testdir(), yaml, { KEY: 'k', BAD: 'k e y' });
    t.throws(load, { message }, feed);
  }
});

t.test('secrets of a request are read from where the file says, and print as that', async (t) => {
  const yaml = `
data: ./data
feeds:
  one:
    format: stix
    url: "https://h.example/{secret:PATH_KEY}/list?token={secret:PATH_KEY}"
    headers: { X-Other: "{secret:OTHER}" }
    body: { query: get, days: 3, nested: [a] }
    secrets: { PATH_KEY: { env: KEY }, OTHER: { env: OTHER } }
    fallback_urls: ["https://copy.example/list"]
pools: { main: { feeds: [one] } }
collections: { all: { pool: main } }
`;
  const load = (text: string) => loadYaml(t.testdir(), text, { KEY: 'k1-secret', OTHER: 'k2-secret' });
  const { effective } = load(yaml);
  t.match(effective, 'env: OTHER');
  t.notMatch(effective, /k[12]-secret/);
  t.match(load(effective).config.feeds[0]?.options, { body: { query: 'get', days: 3, nested: ['a'] } });
  t.throws(() => load(yaml.replace('token={secret:PATH_KEY}', 'token=abc')), { message: /must not carry a key/ });
  t.throws(() => load(yaml.replaceAll('OTHER', 'other')), { message: /is not a name in capitals/ });
  t.throws(() => load(yaml.replace('X-Other', 'X Other')), { message: /is not the name of a header/ });
});

t.test('a batch of STIX is bounded by its bytes as well as by its rows', async (t) => {
  const large = (n: number) => ({
    type: 'note',
    id: `note--${uuidOf(String(n))}`,
    content: 'x'.repeat(6 * 1024 * 1024),
  });
  const dir = t.testdir({ 'bundle.json': JSON.stringify({ type: 'bundle', objects: [1, 2, 3, 4, 5].map(large) }) });
  const bench = await openFeedBench(t, feedFormats.stix, { path: './bundle.json' }, { base: dir });
  const { batches } = await pull(feedFormats.stix, await bench.context());
  t.same(
    batches.map(({ items }) => items.length),
    [3, 2],
  );
});

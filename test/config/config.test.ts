// slow (9 s): hostile YAML, and processes of its own
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import Type from 'typebox';
import { parse } from 'yaml';
import { makeReference } from '../../docs/configuration.ts';
import { isLoopback, parseListen } from '../../src/config/listen.ts';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../../src/config/load.ts';
import { type ConfigProblem, problemsOf } from '../../src/config/problem.ts';
import { collection } from '../../src/feeds/collection.ts';
import type { FeedFormat } from '../../src/feeds/feed.ts';
import { durationSchema, formatDuration, parseDuration } from '../../src/model/duration.ts';
import { GatewayError } from '../../src/model/error.ts';
import { Secret, secretSchema } from '../../src/model/secret.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { storeEngines } from '../../src/store/registry.ts';
import { defaultModes } from '../../src/suppress/warning-lists/modes.ts';
import { makeCertificates } from '../helpers/certificates.ts';

const CANARY = 'sk_live_CANARY0123456789';
const MINUTE = 60_000;
const DAY = 86_400_000;

/** A format with one key of every kind, so that no test leans on what a real feed happens to offer. */
const web: FeedFormat = {
  name: 'web',
  title: 'a format for these tests',
  options: Type.Object(
    {
      url: Type.String({ minLength: 1 }),
      key: Type.Optional(secretSchema('Of this test.')),
      plan: Type.Enum(['free', 'pro'], { default: 'free' }),
      pause: durationSchema({ default: '2s', maximum: '1h' }),
      window: Type.Optional(Type.Object({ days: Type.Integer({ minimum: 1 }) }, { additionalProperties: false })),
      headers: Type.Optional(Type.Record(Type.String(), Type.String())),
      auth: Type.Optional(
        Type.Union([
          Type.Object({ basic: secretSchema('Of this test.') }, { additionalProperties: false }),
          Type.Object({ bearer: secretSchema('Of this test.') }, { additionalProperties: false }),
        ]),
      ),
    },
    { additionalProperties: false },
  ),
  defaults: ({ url }) => {
    if (url === 'https://refused.example/') throw new GatewayError('config-invalid', 'refused by the format');
    return { title: 'Web', mode: 'snapshot', every: 15 * MINUTE, minEvery: MINUTE, emptyAllowed: false };
  },
  account: () => null,
  async *read() {},
};

/** What its rows say has no end, unless a lifetime is set. */
const endless: FeedFormat = {
  ...web,
  name: 'endless',
  defaults: () => ({ title: 'Endless', mode: 'delta', every: 15 * MINUTE, emptyAllowed: true, lifetime: {} }),
};

const base = t.testdir({ 'key.txt': `${CANARY}\n`, 'open.txt': 'x', 'two-lines.txt': 'a\nb\n', 'empty.txt': '\n' });
chmodSync(join(base, 'key.txt'), 0o600);
chmodSync(join(base, 'open.txt'), 0o644);

function load(text: string, more: Partial<LoadOptions> = {}): LoadedConfig {
  return loadConfig(text, {
    path: join(base, 'sluice.yaml'),
    env: { WEB_KEY: CANARY, EMPTY: '' },
    formats: { web, endless },
    presets: {
      known: { format: 'web', options: { url: 'https://known.example/', every: '1h', tlp: 'green', title: 'Known' } },
    },
    stores: storeEngines,
    sinks: sinkKinds,
    outputs,
    collectionIdOf: (name) =>
      `00000000-0000-4000-8000-${Buffer.from(name).toString('hex').padEnd(12, '0').slice(0, 12)}`,
    ...more,
  });
}

function problemsIn(text: string, more: Partial<LoadOptions> = {}): ConfigProblem[] {
  try {
    load(text, more);
    return [];
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return problemsOf(error);
  }
}

const feed = 'feeds:\n  house: { format: web, url: "https://intel.example/list" }\n';
const pool = `${feed}pools:\n  main: { feeds: [house] }\n`;

t.test('an empty file is the whole default configuration', async (t) => {
  const { config } = load('');
  t.match(config, {
    base,
    listen: { host: '127.0.0.1', port: 8080, tls: null, behindProxy: false },
    data: join(base, 'data'),
    store: { engine: 'sqlite', options: {} },
    identity: { name: 'Sluice', description: null, contact: null },
    taxii: { pageSize: 1000, maxPage: 5000, apiRoots: [{ path: '/api/taxii2/api/', title: 'Threat intelligence' }] },
    log: { level: 'info' },
  });
  t.strictSame([config.feeds, config.pools, config.journals, config.collections], [[], [], [], []]);
});

t.test('public_url is an origin, and a collection may have pages of its own size', async (t) => {
  t.equal(load('').config.publicUrl, null);
  t.equal(load('public_url: https://ti.example:8443/\n').config.publicUrl, 'https://ti.example:8443');
  for (const url of ['https://ti.example', 'http://localhost:8080', 'http://127.0.0.1', 'http://[::1]:8080'])
    t.equal(load(`public_url: "${url}"\n`).config.publicUrl, url);
  const { config } = load(`${pool}collections:
  one: { pool: main, page_size: 50000 }
  two: { pool: main, page_size: 10, max_page: 20 }
  three: { pool: main }
`);
  t.strictSame(
    config.collections.map(({ pageSize, maxPage }) => [pageSize, maxPage]),
    [
      [50_000, undefined],
      [10, 20],
      [undefined, undefined],
    ],
  );
});

t.test('each refusal names its line, its column and its path', async (t) => {
  // [what is wrong, the text, line, column, path, words of the message]
  const table: [string, string, number, number, string, RegExp][] = [
    ['unknown key', 'lissen: {}\n', 1, 1, 'lissen', /unknown key; did you mean listen\?/],
    ['unknown nested key', 'listen:\n  prot: 1\n', 2, 3, 'listen.prot', /did you mean port\?/],
    [
      'unknown key of a feed',
      'feeds:\n  a:\n    format: web\n    url: x\n    evry: 1m\n',
      5,
      5,
      'feeds.a.evry',
      /did you mean every\?/,
    ],
    [
      "unknown key deep in a format's options",
      'feeds:\n  a:\n    format: web\n    url: x\n    window: { days: 1, hours: 2 }\n',
      5,
      24,
      'feeds.a.window.hours',
      /unknown key/,
    ],
    ['wrong type', 'listen: { port: high }\n', 1, 17, 'listen.port', /must be a whole number/],
    ['out of bounds', 'listen: { port: 65536 }\n', 1, 17, 'listen.port', /at most 65535/],
    ['no value', 'data:\n', 1, 6, 'data', /has no value/],
    [
      'a collection of nothing',
      'collections:\n  a: { title: A }\n',
      2,
      6,
      'collections.a',
      /needs a pool, or contributed: true/,
    ],
    [
      'types of what clients contribute',
      'collections:\n  a: { contributed: true, types: [ipv4] }\n',
      2,
      34,
      'collections.a.types',
      /has no meaning in a contributed collection/,
    ],
    [
      'a sink of what clients contribute',
      `collections:\n  a: { contributed: true }\nsinks:\n  f: { type: file, path: ./out, collections: [a] }\n`,
      4,
      47,
      'sinks.f.collections[0]',
      /is contributed: deliver a collection of a pool/,
    ],
    [
      'a list of what clients contribute',
      `collections:\n  a: { contributed: true }\nlists:\n  l: { collection: a, format: txt }\n`,
      4,
      20,
      'lists.l.collection',
      /is contributed: list a collection of a pool/,
    ],
    [
      'a pool of what clients contribute',
      `${pool}collections:\n  a: { contributed: true, pool: main }\n`,
      6,
      33,
      'collections.a.pool',
      /has no meaning in a contributed collection/,
    ],
    ['not a list', 'pools:\n  a:\n    feeds: house\n', 3, 12, 'pools.a.feeds', /must be a list/],
    ['empty list', 'pools:\n  a: { feeds: [] }\n', 2, 15, 'pools.a.feeds', /must not be empty/],
    [
      'named twice in a list',
      `${feed}pools:\n  a: { feeds: [house, house] }\n`,
      4,
      15,
      'pools.a.feeds',
      /same thing twice/,
    ],
    ['not a mapping', 'pools: [a]\n', 1, 8, 'pools', /must be a mapping/],
    [
      'word that is none of the allowed',
      `${pool}collections:\n  c: { pool: main, tlp: ambre }\n`,
      6,
      25,
      'collections.c.tlp',
      /must be clear, green, .*did you mean amber\?/,
    ],
    [
      'a type that is none',
      `${pool}collections:\n  c: { pool: main, types: [ipv4, ip6] }\n`,
      6,
      34,
      'collections.c.types[1]',
      /did you mean ipv6\?/,
    ],
    ['missing key', `${feed}pools:\n  a: {}\n`, 4, 6, 'pools.a', /feeds is missing/],
    [
      'duration without unit',
      'feeds:\n  a: { format: web, url: x, every: 10 }\n',
      2,
      36,
      'feeds.a.every',
      /must be a duration/,
    ],
    [
      'duration that is none',
      'feeds:\n  a: { format: web, url: x, every: soon }\n',
      2,
      36,
      'feeds.a.every',
      /must be a duration/,
    ],
    [
      'duration out of bounds',
      'feeds:\n  a: { format: web, url: x, pause: 2h }\n',
      2,
      36,
      'feeds.a.pause',
      /at most 1h/,
    ],
    [
      'faster than the feed allows',
      'feeds:\n  a: { format: web, url: x, every: 59s }\n',
      2,
      36,
      'feeds.a.every',
      /not be polled more often than every 60 s/,
    ],
    [
      'lifetime of no type',
      'feeds:\n  a: { format: web, url: x, lifetime: { ip: 1d } }\n',
      2,
      41,
      'feeds.a.lifetime.ip',
      /unknown key/,
    ],
    [
      'decay without a lifetime',
      'feeds:\n  a: { format: endless, url: x, decay: { speed: 2 } }\n',
      2,
      49,
      'feeds.a.decay.speed',
      /the feed has no lifetime to decay in/,
    ],
    [
      'decay of a type without a lifetime',
      'feeds:\n  a: { format: endless, url: x, lifetime: { url: 1d }, decay: { speed: { url: 1, ipv4: 2 } } }\n',
      2,
      88,
      'feeds.a.decay.speed',
      /ipv4 has no lifetime to decay in/,
    ],
    [
      'decay by another model',
      'feeds:\n  a: { format: web, url: x, decay: { model: linear, speed: 2 } }\n',
      2,
      45,
      'feeds.a.decay.model',
      /must be misp/,
    ],
    [
      'decay without a speed',
      'feeds:\n  a: { format: web, url: x, decay: { threshold: 30 } }\n',
      2,
      36,
      'feeds.a.decay',
      /speed is missing/,
    ],
    [
      'decay that stands still',
      'feeds:\n  a: { format: web, url: x, decay: { speed: 0 } }\n',
      2,
      45,
      'feeds.a.decay.speed',
      /at least 0.1/,
    ],
    [
      'share above one',
      'feeds:\n  a: { format: web, url: x, shrink_guard: 50 }\n',
      2,
      43,
      'feeds.a.shrink_guard',
      /share between 0 and 1, or off/,
    ],
    [
      'a pattern that is none',
      'feeds:\n  a: { format: web, url: x, filter: { not_values: [ok, "(?<=a)b"] } }\n',
      2,
      56,
      'feeds.a.filter.not_values[1]',
      /invalid/,
    ],
    [
      'a pattern of too many steps',
      'feeds:\n  a: { format: web, url: x, filter: { values: ["(ab{9}){99}"] } }\n',
      2,
      48,
      'feeds.a.filter.values[0]',
      /takes more than 1000 steps/,
    ],
    ['neither preset nor format', 'feeds:\n  a: { url: x }\n', 2, 3, 'feeds.a', /needs either preset or format/],
    [
      'both preset and format',
      'feeds:\n  a: { preset: known, format: web }\n',
      2,
      3,
      'feeds.a',
      /needs either preset or format/,
    ],
    [
      'unknown format',
      'feeds:\n  a: { format: wed }\n',
      2,
      16,
      'feeds.a.format',
      /must be web or endless; did you mean web\?/,
    ],
    ['unknown preset', 'feeds:\n  a: { preset: knwon }\n', 2, 16, 'feeds.a.preset', /did you mean known\?/],
    ['a key that the format misses', 'feeds:\n  a: { format: web }\n', 2, 6, 'feeds.a', /url is missing/],
    [
      'refused by the format itself',
      'feeds:\n  a: { format: web, url: "https://refused.example/" }\n',
      2,
      3,
      'feeds.a',
      /refused by the format/,
    ],
    ['a name that is none', 'feeds:\n  House 1: { format: web, url: x }\n', 2, 3, 'feeds."House 1"', /must be a name/],
    ['a prototype as a name', 'pools:\n  __proto__: { feeds: [a] }\n', 2, 3, 'pools.__proto__', /must be a name/],
    [
      'a pool of no feed',
      `${feed}pools:\n  a: { feeds: [hause] }\n`,
      4,
      16,
      'pools.a.feeds[0]',
      /names no feed; did you mean house\?/,
    ],
    [
      'a suppress feed that is no feed',
      `${feed}pools:\n  a: { feeds: [house], suppress_feeds: [hause] }\n`,
      4,
      41,
      'pools.a.suppress_feeds[0]',
      /names no feed; did you mean house\?/,
    ],
    [
      'a suppress feed that the pool serves',
      `${feed}pools:\n  a: { feeds: [house], suppress_feeds: [house] }\n`,
      4,
      41,
      'pools.a.suppress_feeds[0]',
      /is in feeds as well/,
    ],
    [
      'a collection of no pool',
      `${pool}collections:\n  c: { pool: mian }\n`,
      6,
      14,
      'collections.c.pool',
      /names no pool; did you mean main\?/,
    ],
    [
      'an id that is no v4',
      `${pool}collections:\n  c: { pool: main, id: 6ba7b810-9dad-11d1-80b4-00c04fd430c8 }\n`,
      6,
      24,
      'collections.c.id',
      /UUID of version 4/,
    ],
    [
      'an id used twice',
      `${pool}collections:\n  c: { pool: main, id: 6ba7b810-9dad-41d1-80b4-00c04fd430c8 }\n  d: { pool: main, id: 6ba7b810-9dad-41d1-80b4-00c04fd430c8 }\n`,
      7,
      24,
      'collections.d.id',
      /also the id of the collection c/,
    ],
    [
      'a source of no feed',
      `${pool}collections:\n  c: { pool: main, sources: { least: 1, of: [hause] } }\n`,
      6,
      46,
      'collections.c.sources.of[0]',
      /names no feed; did you mean house\?/,
    ],
    [
      'a source of another pool',
      `${feed}  else: { format: web, url: x }\npools:\n  main: { feeds: [house] }\n  b: { feeds: [else] }\ncollections:\n  c: { pool: main, sources: { least: 1, of: [else] } }\n`,
      8,
      46,
      'collections.c.sources.of[0]',
      /is not in the pool main/,
    ],
    [
      'more sources than are named',
      `${pool}collections:\n  c: { pool: main, sources: { least: 2, of: [house] } }\n`,
      6,
      38,
      'collections.c.sources.least',
      /more than the feeds in of \(1\)/,
    ],
    [
      'sources that are neither',
      `${pool}collections:\n  c: { pool: main, sources: two }\n`,
      6,
      29,
      'collections.c.sources',
      /must be a whole number/,
    ],
    [
      'a star inside a label',
      `${pool}collections:\n  c: { pool: main, labels: { any: ["a*b"] } }\n`,
      6,
      36,
      'collections.c.labels.any[0]',
      /start of labels with a \* behind it/,
    ],
    [
      'no label',
      `${pool}collections:\n  c: { pool: main, labels: {} }\n`,
      6,
      28,
      'collections.c.labels',
      /not be empty/,
    ],
    [
      'objects: all for Elastic',
      `${pool}collections:\n  c: { pool: main, profile: elastic-agent, objects: all }\n`,
      6,
      53,
      'collections.c.objects',
      /needs profile: stix/,
    ],
    [
      'all versions for Elastic',
      `${pool}collections:\n  c: { pool: main, profile: elastic-agent, keep_versions: all }\n`,
      6,
      59,
      'collections.c.keep_versions',
      /needs profile: stix/,
    ],
    [
      'API root without its slash',
      'taxii:\n  api_roots: { /taxii: {} }\n',
      2,
      16,
      'taxii.api_roots."/taxii"',
      /starts and ends with \//,
    ],
    [
      'API root over discovery',
      'taxii:\n  api_roots: { /taxii2/: {} }\n',
      2,
      26,
      'taxii.api_roots."/taxii2/"',
      /address of the gateway itself/,
    ],
    ...['/docs/', '/docs/static/', '/assets/', '/api/v1/', '/api/v1/iocs/', '/healthz/', '/readyz/x/', '/metrics/'].map(
      (root): (typeof table)[number] => [
        `API root over ${root}`,
        `taxii:\n  api_roots: { /a/: {}, ${root}: {} }\n`,
        2,
        27 + root.length,
        `taxii.api_roots."${root}"`,
        /address of the gateway itself/,
      ],
    ),
    [
      'API root inside another',
      'taxii:\n  api_roots: { /a/: {}, /a/b/: {} }\n',
      2,
      32,
      'taxii.api_roots."/a/b/"',
      /lies inside the API root "\/a\/"/,
    ],
    [
      'API root twice',
      'taxii:\n  api_roots:\n    /a/: {}\n    /a/: {}\n',
      4,
      5,
      'taxii.api_roots."/a/"',
      /given twice, first in line 3/,
    ],
    [
      'page above the most',
      'taxii: { page_size: 2000, max_page: 1000 }\n',
      1,
      21,
      'taxii.page_size',
      /not be more than max_page/,
    ],
    [
      'page of a collection above its most',
      `${pool}collections:\n  all: { pool: main, page_size: 20, max_page: 10 }\n`,
      6,
      33,
      'collections.all.page_size',
      /not be more than max_page/,
    ],
    [
      'page of a collection above every most',
      `${pool}collections:\n  all: { pool: main, max_page: 50001 }\n`,
      6,
      32,
      'collections.all.max_page',
      /at most 50000/,
    ],
    ...['ti.example', 'https://ti.example/path', 'https://ti.example?x', 'ftp://ti.example'].map(
      (url): [string, string, number, number, string, RegExp] => [
        `public_url ${url}`,
        `public_url: "${url}"\n`,
        1,
        13,
        'public_url',
        /https:\/\/HOST/,
      ],
    ),
    ['public_url in the clear', 'public_url: http://ti.example\n', 1, 13, 'public_url', /must begin with https/],
    ['public_url that leads nowhere', 'public_url: "https://[::::]"\n', 1, 13, 'public_url', /no host/],
    ['public_url with a port that is none', 'public_url: https://ti.example:99999\n', 1, 13, 'public_url', /no host/],
    ['a store that is none', 'store: sqllite\n', 1, 8, 'store', /must be sqlite or memory; did you mean sqlite\?/],
    [
      'beyond loopback in the clear',
      'listen:\n  host: 0.0.0.0\n',
      2,
      9,
      'listen.host',
      /needs listen.tls, or listen.behind_proxy/,
    ],
    [
      'a secret as plain text',
      `feeds:\n  a: { format: web, url: x, key: ${CANARY} }\n`,
      2,
      34,
      'feeds.a.key',
      /never stands in this file.*\{env: NAME\} or \{file: PATH\}/,
    ],
    [
      'a secret where the name belongs',
      `feeds:\n  a: { format: web, url: x, key: { env: ${CANARY} } }\n`,
      2,
      41,
      'feeds.a.key',
      /name of an environment variable/,
    ],
    [
      'a secret where the path belongs',
      `feeds:\n  a: { format: web, url: x, key: { file: ${CANARY} } }\n`,
      2,
      42,
      'feeds.a.key',
      /is not there/,
    ],
    [
      'a secret as a key',
      `feeds:\n  a: { format: web, url: x, key: { evn: WEB_KEY } }\n`,
      2,
      36,
      'feeds.a.key',
      /did you mean env\?/,
    ],
    [
      'an environment variable that is not set',
      'feeds:\n  a: { format: web, url: x, key: { env: NO_KEY } }\n',
      2,
      41,
      'feeds.a.key',
      /NO_KEY is not set/,
    ],
    [
      'an empty environment variable',
      'feeds:\n  a: { format: web, url: x, key: { env: EMPTY } }\n',
      2,
      41,
      'feeds.a.key',
      /EMPTY is not set/,
    ],
    [
      'env and file at once',
      'feeds:\n  a: { format: web, url: x, key: { env: WEB_KEY, file: key.txt } }\n',
      2,
      34,
      'feeds.a.key',
      /either/,
    ],
    [
      'a key of two lines',
      'feeds:\n  a: { format: web, url: x, key: { file: two-lines.txt } }\n',
      2,
      42,
      'feeds.a.key',
      /one line/,
    ],
    [
      'an empty key file',
      'feeds:\n  a: { format: web, url: x, key: { file: empty.txt } }\n',
      2,
      42,
      'feeds.a.key',
      /is empty/,
    ],
    [
      'a directory as a key file',
      'feeds:\n  a: { format: web, url: x, key: { file: . } }\n',
      2,
      42,
      'feeds.a.key',
      /regular file/,
    ],
    [
      'an optional TLS key',
      'listen: { tls: { cert: { file: open.txt }, key: { env: NO_KEY, optional: true } } }\n',
      1,
      49,
      'listen.tls.key',
      /for the keys of feeds only/,
    ],
    [
      'a password in an address',
      `feeds:\n  a: { format: web, url: "https://user:${CANARY}@intel.example/" }\n`,
      2,
      26,
      'feeds.a.url',
      /user or password/,
    ],
    [
      'a key in an address',
      `feeds:\n  a: { format: web, url: "https://intel.example/x?api_key=${CANARY}" }\n`,
      2,
      26,
      'feeds.a.url',
      /key or token/,
    ],
    [
      'a password in an address in a map',
      `feeds:\n  a: { format: web, url: x, headers: { Referer: "https://u:${CANARY}@intel.example/" } }\n`,
      2,
      49,
      'feeds.a.headers.Referer',
      /user or password/,
    ],
    ['a control character in a title', 'identity: { name: "a\\nb" }\n', 1, 19, 'identity.name', /one line/],
    ['a number that is none', 'taxii: { page_size: .inf }\n', 1, 21, 'taxii.page_size', /finite/],
    ['an alias of nothing', 'taxii: { title: *n }\n', 1, 17, 'taxii.title', /aliases/],
    ['an anchor', 'identity: { name: &n Sluice }\n', 1, 22, 'identity.name', /anchors/],
    ['a tag', 'identity: { name: !secret x }\n', 1, 27, 'identity.name', /tags/],
    ['a merge key', 'identity: { <<: { name: x } }\n', 1, 13, 'identity', /merge keys/],
    ['a key given twice', 'data: a\nlog: {}\ndata: b\n', 3, 1, 'data', /given twice, first in line 1/],
    ['a key that is a list', 'listen: { ? [a] : 1 }\n', 1, 13, 'listen', /no plain text/],
    ['two documents', 'data: a\n---\ndata: b\n', 2, 1, '', /one YAML document/],
    ['YAML 1.1', '%YAML 1.1\n---\nlog: {}\n', 1, 1, '', /YAML 1.2 only/],
    ['a tab for indentation', 'listen:\n\tport: 1\n', 2, 1, '', /tab/],
    ['an open bracket', 'listen: { port: 1', 1, 18, '', /bracket before it is not closed/],
    ['an open quote', 'data: "a', 1, 9, '', /lacks a character/],
    ['a list as the file', '- a\n', 1, 1, '', /mapping/],
    ['text as the file', 'hello\n', 1, 1, '', /mapping/],
  ];
  for (const [what, text, line, column, path, message] of table) {
    const problems = problemsIn(text);
    const found = problems.find(
      (problem) => problem.line === line && problem.column === column && problem.path === path,
    );
    if (!t.ok(found, what, { problems })) continue;
    t.match(found?.message, message, what);
    t.notMatch(JSON.stringify(problems), /CANARY/, `${what}: no secret in the message`);
    t.equal(problems.length, 1, `${what}: nothing else is reported`, { problems });
  }
});

t.test('all problems come at once, in the order of the file, one line each', async (t) => {
  const text = `listen: { port: 0.5, hots: x }\nfeeds:\n  a: { format: web, every: 1 }\npools:\n  p: { feeds: [b] }\ncollections:\n  c: { pool: q, tlp: blue }\n  d: { pool: q }\n`;
  const lines = (() => {
    try {
      load(text);
      return [];
    } catch (error) {
      return (error as GatewayError).message.split('\n');
    }
  })();
  t.strictSame(
    lines.map((line) => line.slice(join(base, 'sluice.yaml').length).split(': ')[0]),
    [':1:17', ':1:22', ':3:6', ':3:28', ':5:16', ':7:22', ':8:14'],
    lines.join('\n'),
  );
});

t.test('an alias is refused also where its anchor stands', async (t) => {
  t.match(problemsIn('identity: { name: &n Sluice }\ntaxii: { title: *n }\n'), [
    { line: 1, column: 22, path: 'identity.name', message: /anchors/ },
    { line: 2, column: 17, path: 'taxii.title', message: /aliases/ },
  ]);
});

t.test('hostile YAML ends soon and in words', async (t) => {
  t.match(problemsIn(`a: ${'['.repeat(100_000)}`)[0]?.message, /nested too deeply/);
  t.match(problemsIn(`# ${'x'.repeat(1_000_000)}\n`)[0]?.message, /larger than 1000000 bytes/);
  const many = Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`).join('\n');
  t.equal(problemsIn(many).length, 60_000);
  t.equal((loadFailure(many)?.message.split('\n') ?? []).length, 101, 'shown: a hundred and how many more');
});

function loadFailure(text: string): Error | undefined {
  try {
    load(text);
  } catch (error) {
    return error as Error;
  }
  return undefined;
}

t.test('secrets appear nowhere but where they are revealed', async (t) => {
  const text = `feeds:
  env: { format: web, url: "https://a.example/", key: { env: WEB_KEY } }
  file: { format: web, url: "https://b.example/", key: { file: key.txt } }
  one: { format: web, url: "https://c.example/", auth: { bearer: { env: WEB_KEY } } }
pools: { p: { feeds: [env, file, one] } }
collections: { c: { pool: p } }
`;
  const { config, effective, warnings } = load(text);
  const [env, file, one] = config.feeds.map(({ options }) => options as any);
  t.equal(env.key.reveal(), CANARY);
  t.equal(file.key.reveal(), CANARY, 'without the line end of its file');
  t.equal(one.auth.bearer.reveal(), CANARY, 'in the branch of a union that has its keys');
  t.notMatch(effective, /CANARY/);
  t.notMatch(JSON.stringify(config), /CANARY/);
  t.match(parse(effective).feeds.env.key, { env: 'WEB_KEY' });
  t.match(parse(effective).feeds.file.key, { file: 'key.txt' });
  t.strictSame(warnings, []);
});

t.test('a secret file that others can read is a warning, at its line', async (t) => {
  const { warnings } = load(
    `${pool}  q: { feeds: [open] }\ncollections: { c: { pool: main } }\n`.replace(
      'pools:',
      '  open: { format: web, url: x, key: { file: open.txt } }\npools:',
    ),
  );
  t.match(warnings, [{ line: 3, column: 45, path: 'feeds.open.key', message: /chmod 600/ }]);
  t.equal(warnings.length, 1);
});

t.test('a feed whose key is optional and absent is idle; one that is switched off as well', async (t) => {
  const text = `feeds:
  keyed: { format: web, url: "https://a.example/", key: { env: NO_KEY, optional: true }, lifetime: 3d }
  filed: { format: web, url: "https://a.example/", key: { file: none.txt, optional: true } }
  off: { format: web, url: "https://b.example/", enabled: false }
  on: { format: web, url: "https://c.example/", key: { env: WEB_KEY, optional: true } }
pools: { p: { feeds: [keyed, filed, off, on] } }
collections: { c: { pool: p } }
`;
  const { config, warnings, effective } = load(text);
  t.strictSame(
    config.feeds.map(({ definition }) => definition.name),
    ['on'],
  );
  t.strictSame(
    config.idleFeeds.map(({ definition, reason }) => [definition.name, reason]),
    [
      ['keyed', 'no-key'],
      ['filed', 'no-key'],
      ['off', 'disabled'],
    ],
  );
  t.strictSame(
    config.idleFeeds[0]?.definition.lifetime,
    { default: 3 * DAY },
    'their rows still age by their own rules',
  );
  t.strictSame(config.pools[0]?.feeds, ['keyed', 'filed', 'off', 'on'], 'what they said before stands');
  t.match(warnings, [
    { line: 2, column: 3, path: 'feeds.keyed', message: /left out: the environment variable NO_KEY is not set/ },
    { line: 3, column: 3, path: 'feeds.filed', message: /left out: the file is not there/ },
  ]);
  t.match(parse(effective).feeds.keyed.key, { env: 'NO_KEY', optional: true });
});

t.test('feeds: format defaults, presets and own words, the last one counts', async (t) => {
  const text = `feeds:
  plain: { format: web, url: "https://a.example/" }
  known: { preset: known }
  mine: { preset: known, title: Mine, every: 90s, mode: delta, plan: pro, lifetime: { ipv4: 10d } }
  bare: { format: web, url: x, lifetime: 7d, shrink_guard: off, confidence: 70, trust: 0.5, decay: { speed: { url: 2, default: 1 }, threshold: 30 }, empty_allowed: true, min_prefix: { ipv6: 32 }, reserved: accept }
pools: { p: { feeds: [plain, known, mine, bare] } }
collections: { c: { pool: p } }
`;
  const { feeds } = load(text).config;
  const [plain, known, mine, bare] = feeds.map(({ definition }) => definition);
  t.match(plain, {
    name: 'plain',
    format: 'web',
    mode: 'snapshot',
    title: 'Web',
    every: 15 * MINUTE,
    confidence: null,
    tlp: 'amber',
    shrinkGuard: 0.5,
    emptyAllowed: false,
    reach: { minPrefix: { ipv4: 8, ipv6: 16 }, reserved: false },
    lifetime: { ipv4: 30 * DAY, url: 60 * DAY, domain: 60 * DAY, default: 365 * DAY },
  });
  t.strictSame(
    feeds.map(({ definition }) => definition.aliases),
    [['Web'], ['known', 'Known', 'Web'], ['known', 'Known', 'Web'], ['Web']],
    'whose feed it is, whatever its title',
  );
  t.match(known, { title: 'Known', every: 60 * MINUTE, tlp: 'green', format: 'web' });
  t.match(mine, { title: 'Mine', every: 90_000, mode: 'delta', tlp: 'green', shrinkGuard: null });
  t.match(mine?.lifetime, { ipv4: 10 * DAY, ipv6: 30 * DAY, default: 365 * DAY });
  t.match(bare, { lifetime: { default: 7 * DAY }, shrinkGuard: null, confidence: 70, emptyAllowed: true });
  t.match(bare, { trust: 0.5, decay: { speed: { url: 2, default: 1 }, threshold: 30 } });
  t.notOk(mine !== undefined && ('trust' in mine || 'decay' in mine));
  t.same(bare?.reach, { minPrefix: { ipv4: 8, ipv6: 32 }, reserved: true });
  t.strictSame(
    feeds.map(({ options }) => options),
    [
      { url: 'https://a.example/', plan: 'free', pause: 2000 },
      { url: 'https://known.example/', plan: 'free', pause: 2000 },
      { url: 'https://known.example/', plan: 'pro', pause: 2000 },
      { url: 'x', plan: 'free', pause: 2000 },
    ],
    'a format is handed its own keys and nothing else',
  );
});

t.test('a wrong word in a feed that a preset began points at the word', async (t) => {
  const [problem] = problemsIn('feeds:\n  k:\n    preset: known\n    plan: por\n');
  t.match(problem, { line: 4, column: 11, path: 'feeds.k.plan', message: /did you mean pro\?/ });
});

t.test(
  'own assets of a pool are canonical in all its journals; an entry that is none is a problem with its line',
  async (t) => {
    const written = '[198.51.100.7/32, "10.1.2.3/8", EXAMPLE.com., example.com, "2001:DB8::/32"]';
    const assets = ['10.0.0.0/8', '198.51.100.7', '2001:db8::/32', 'example.com'];
    const { config } = load(
      `${feed}pools:\n  main: { feeds: [house], suppress: ${written} }\ncollections:\n  high: { pool: main, sources: 2 }\n`,
    );
    t.strictSame(
      config.journals.map(({ name, policy }) => [name, policy.suppress]),
      [
        ['pool:main', assets],
        ['collection:high', assets],
      ],
    );
    const problems = problemsIn(
      `${feed}pools:\n  main:\n    feeds: [house]\n    suppress:\n      - 10.0.0.0/8\n      - co.uk\n      - 10.0.0.1:80\n`,
    );
    t.strictSame(
      problems.map(({ line, path, message }) => [line, path, message.split(':')[0]]),
      [8, 9].map((line, i) => [
        line,
        `pools.main.suppress[${i + 1}]`,
        'must be an address, a network, a domain, a URL, an e-mail address or a file hash',
      ]),
    );
  },
);

t.test('warning lists have their modes by default; a pool sets some, a collection others, and off leaves none', (t) => {
  const { config } = load(
    `${feed}pools:\n  main:\n    feeds: [house]\n    admit: [9.9.9.9, D41D8CD98F00B204E9800998ECF8427E, "https://Corp.example/a"]\n` +
      '    warning_lists: { public-dns-v4: tag, cloudflare: off }\n  bare: { feeds: [house], warning_lists: off }\n' +
      'collections:\n  all: { pool: main }\n  own: { pool: main, warning_lists: { cloudflare: lower }, admit: [1.1.1.1] }\n  none: { pool: main, warning_lists: off }\n',
  );
  const policies = new Map(config.journals.map(({ name, policy }) => [name, policy]));
  const { cloudflare: _, ...others } = defaultModes;
  const admit = ['9.9.9.9', 'd41d8cd98f00b204e9800998ecf8427e', 'https://corp.example/a'];
  t.strictSame(policies.get('pool:main')?.warningLists, { ...others, 'public-dns-v4': 'tag' });
  t.strictSame(policies.get('pool:main')?.admit, admit);
  t.equal(policies.get('pool:bare')?.warningLists, undefined);
  t.strictSame(policies.get('collection:own')?.warningLists, {
    ...others,
    'public-dns-v4': 'tag',
    cloudflare: 'lower',
  });
  t.strictSame(policies.get('collection:own')?.admit, ['1.1.1.1', ...admit]);
  t.equal(policies.get('collection:none')?.warningLists, undefined);
  t.equal(policies.has('collection:all'), false, 'without any of these it is a view');
  const problems = problemsIn(
    `${feed}pools:\n  main: { feeds: [house], warning_lists: { public-dns-4: tag, google: maybe } }\n`,
  );
  t.strictSame(
    problems.map(({ message }) => message),
    ['is an unknown key; did you mean public-dns-v4?', 'must be drop, tag, lower or off'],
  );
  t.end();
});

t.test('a feed has lists of its own, in canonical form', (t) => {
  const { config } = load(
    `${feed.trimEnd()}\npools: { main: { feeds: [house] } }\n`.replace(
      'house: {',
      'house: { suppress: [EXAMPLE.com], admit: [10.1.0.0/8],',
    ),
  );
  t.match(config.feeds[0]?.definition, { suppress: ['example.com'], admit: ['10.0.0.0/8'] });
  const problems = problemsIn(feed.replace('house: {', 'house: { admit: [co.uk],'));
  t.match(problems, [{ path: 'feeds.house.admit[0]', message: /must be an address/ }]);
  t.end();
});

t.test('a collection is a view when it only names types, else it has its own journal', async (t) => {
  const text = `${pool}  strict: { feeds: [house], profile: elastic-agent, tlp: green, keep: 40d, expand_cidr: 24 }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4, ipv6], title: Addresses, description: Both, strict: true }
  high: { pool: main, types: [url], min_confidence: 80, sources: 2 }
  red: { pool: main, tlp: red }
  raw: { pool: main, objects: all, keep_versions: all }
  short: { pool: strict, keep: 31d }
  cves: { pool: strict, types: [cve], profile: stix }
  fixed: { pool: main, id: 6ba7b810-9dad-41d1-80b4-00c04fd430c8 }
  narrow:
    pool: main
    sources: { least: 1, of: [house] }
    labels: { any: [C2, "Malware:*"], none: [tor] }
    max_age: 3d
`;
  const { config, warnings } = load(text);
  t.strictSame(warnings, []);
  t.strictSame(
    config.collections.map(({ alias, journal, types, tlp }) => [alias, journal, types, tlp]),
    [
      ['all', 'pool:main', null, 'amber'],
      ['ips', 'pool:main', ['ipv4', 'ipv6'], 'amber'],
      ['high', 'collection:high', null, 'amber'],
      ['red', 'collection:red', null, 'red'],
      ['raw', 'collection:raw', null, 'amber'],
      ['short', 'collection:short', null, 'green'],
      ['cves', 'collection:cves', null, 'green'],
      ['fixed', 'pool:main', null, 'amber'],
      ['narrow', 'collection:narrow', null, 'amber'],
    ],
  );
  const journals = new Map(config.journals.map((journal) => [journal.name, journal]));
  t.strictSame(
    [...journals.keys()],
    [
      'pool:main',
      'pool:strict',
      'collection:high',
      'collection:red',
      'collection:raw',
      'collection:short',
      'collection:cves',
      'collection:narrow',
    ],
  );
  t.strictSame(journals.get('collection:high'), {
    name: 'collection:high',
    pool: 'main',
    profile: 'stix',
    keep: 30 * DAY,
    keepVersions: 'last',
    policy: {
      tlp: 'amber',
      minConfidence: 80,
      minSources: 2,
      types: ['url'],
      tlpVersion: 2,
      objects: 'indicators',
      expandCidr: null,
      warningLists: defaultModes,
    },
  });
  t.strictSame(
    [journals.get('collection:high')?.policy, journals.get('collection:narrow')?.policy].map((policy) => {
      return [policy?.minSources, policy?.sourcesOf, policy?.labels, policy?.maxAge];
    }),
    [
      [2, undefined, undefined, undefined],
      [1, ['house'], { any: ['c2', 'malware:*'], none: ['tor'] }, 3 * DAY],
    ],
    'labels in lower case',
  );
  t.match(journals.get('collection:raw'), { keepVersions: 'all', policy: { objects: 'all' } });
  t.match(
    journals.get('collection:short'),
    { profile: 'elastic-agent', keep: 31 * DAY, policy: { tlp: 'green', expandCidr: 24 } },
    "the pool's rules where it has none",
  );
  t.match(journals.get('collection:cves'), { profile: 'stix', policy: { types: ['cve'], expandCidr: 24 } });
  t.match(journals.get('pool:strict'), { policy: { expandCidr: 24 } });
  t.match(config.collections[1], { title: 'Addresses', description: 'Both', strict: true, id: /^00000000-0000-4000-/ });
  t.equal(config.collections.at(-2)?.id, '6ba7b810-9dad-41d1-80b4-00c04fd430c8');
});

t.test('a contributed collection has a journal of its own, of no pool', async (t) => {
  const { config, effective } = load(`${pool}collections:
  drop: { contributed: true, title: Drop, tlp: green, keep_versions: last, page_size: 10 }
  box: { contributed: true }
  all: { pool: main, contributed: false }
`);
  t.strictSame(config.contributed, [
    { name: 'contributed:drop', collection: 'drop', tlp: 'green', keepVersions: 'last' },
    { name: 'contributed:box', collection: 'box', tlp: 'amber', keepVersions: 'all' },
  ]);
  t.match(config.collections[0], {
    alias: 'drop',
    title: 'Drop',
    journal: 'contributed:drop',
    contributed: true,
    types: null,
    tlp: 'green',
    pageSize: 10,
  });
  t.notOk('contributed' in (config.collections[2] ?? {}));
  t.notOk(config.journals.some(({ name }) => name.startsWith('contributed')));
  t.equal(load(effective).effective, effective);
});

t.test('a feed of a collection names one that is contributed', async (t) => {
  const text = (section: string): string =>
    `feeds: { team: { format: collection, collection: drop } }\npools: { p: { feeds: [team] } }\n${section}`;
  const formats = { formats: { web, collection } };
  const { config } = load(text('collections: { drop: { contributed: true } }\n'), formats);
  t.match(config.feeds[0], {
    definition: { mode: 'snapshot', shrinkGuard: null, emptyAllowed: true, lifetime: {}, every: 60_000 },
    options: { collection: 'drop' },
  });
  const problemsWith = (section: string): ConfigProblem[] => problemsIn(text(section), formats);
  t.match(problemsWith('collections: { drop: { pool: p } }\n'), [
    { line: 1, column: 50, path: 'feeds.team.collection', message: /^names no collection with contributed: true$/ },
  ]);
  t.match(problemsWith('collections: { drops: { contributed: true } }\n'), [{ message: /did you mean drops\?/ }]);
  t.strictSame(
    problemsWith('collections: { drop: { contributed: maybe } }\n').map(({ path }) => path),
    ['collections.drop.contributed'],
    'one that is wrong in itself is told once',
  );
});

t.test('a feed that only suppresses is in a pool, and in the policies of its journals', async (t) => {
  const text = `${feed}  good: { format: web, url: "https://good.example/list" }
pools: { main: { feeds: [house], suppress_feeds: [good] } }
collections: { all: { pool: main }, sure: { pool: main, min_confidence: 50 } }
`;
  const { config, warnings } = load(text);
  t.strictSame(warnings, []);
  t.strictSame(config.pools, [{ name: 'main', feeds: ['house'] }]);
  t.strictSame(
    config.journals.map(({ policy }) => policy.suppressFeeds),
    [['good'], ['good']],
  );
});

t.test('what is allowed but hardly meant is warned of', async (t) => {
  const table: [string, string, number, string, RegExp][] = [
    ['no collection', pool, 1, 'collections', /nothing is served/],
    [
      'a feed in no pool',
      `${pool}  \ncollections: { c: { pool: main } }\n`.replace('pools:', '  lost: { format: web, url: x }\npools:'),
      3,
      'feeds.lost',
      /in no pool/,
    ],
    [
      'a short keep for Elastic',
      `${feed}pools:\n  p: { feeds: [house], profile: elastic-agent, keep: 7d }\ncollections: { c: { pool: p } }\n`,
      4,
      'pools.p.keep',
      /under 30d/,
    ],
    [
      'only types that Elastic cannot read',
      `${feed}pools:\n  p: { feeds: [house], profile: elastic-agent }\ncollections: { c: { pool: p, types: [cve] } }\n`,
      5,
      'collections.c.types',
      /stays empty.*profile: stix/,
    ],
  ];
  for (const [what, text, line, path, message] of table) {
    const { warnings } = load(text);
    t.match(warnings, [{ line, path, message }], what);
    t.equal(warnings.length, 1, what);
  }
});

t.test('the command line overrides where to listen and where the data are', async (t) => {
  const { config, effective } = load('listen: { port: 1 }\ndata: elsewhere\n', {
    overrides: { data: 'here', listen: '[::1]:0' },
  });
  t.match(config.listen, { host: '::1', port: 0 });
  t.equal(config.data, join(process.cwd(), 'here'));
  t.match(parse(effective), { listen: { host: '::1', port: 0 }, data: join(process.cwd(), 'here') });
  t.match(load('', { overrides: { listen: ':9000' } }).config.listen, { host: '127.0.0.1', port: 9000 });
  t.match(problemsIn('', { overrides: { listen: 'nonsense' } }), [{ line: 0, path: '', message: /HOST:PORT/ }]);
  t.match(problemsIn('', { overrides: { listen: '0.0.0.0:80' } }), [
    { line: 0, message: /--listen: .*other machines/ },
  ]);
  t.strictSame(problemsIn('listen: { behind_proxy: true }', { overrides: { listen: '0.0.0.0:80' } }), []);
});

t.test('addresses: what is loopback and what is HOST:PORT', async (t) => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '0:0:0:0:0:0:0:1']) t.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.1', 'localhost.example', '::ffff:127.0.0.1', 'fe80::1%lo'])
    t.notOk(isLoopback(host), host);
  for (const text of ['', '80', 'host', 'host:', 'host:65536', '::1:80', '[host]:80', 'a b:80', 'h:80:80', '[:::]:1']) {
    t.equal(parseListen(text), undefined, text);
  }
  t.strictSame(parseListen('intel.example:443'), { host: 'intel.example', port: 443 });
});

t.test('TLS is loaded and proven before the start', async (t) => {
  const dir = join(base, 'tls');
  if (makeCertificates(t, dir) === null) return;
  for (const name of ['server', 'client']) {
    chmodSync(join(dir, `${name}.key`), 0o600);
    chmodSync(join(dir, `${name}.crt`), 0o644);
  }
  writeFileSync(join(dir, 'junk.crt'), 'junk');
  const tls = (cert: string, key: string, ca = 'ca.crt') =>
    `listen: { host: 0.0.0.0, tls: { cert: { file: tls/${cert} }, key: { file: tls/${key} }, client_ca: { file: tls/${ca} } } }\n`;
  const { config, warnings, effective } = load(tls('server.crt', 'server.key'));
  t.match(config.listen.tls?.key.reveal(), /PRIVATE KEY/);
  t.ok(config.listen.tls?.clientCa instanceof Secret);
  t.strictSame(
    warnings.filter(({ path }) => path.startsWith('listen')),
    [],
    'certificates may be read by all',
  );
  t.notMatch(effective, /BEGIN/);
  t.match(problemsIn(tls('server.crt', 'client.key')), [{ path: 'listen.tls', message: /do not belong together/ }]);
  t.match(problemsIn(tls('junk.crt', 'server.key')), [{ path: 'listen.tls.cert', message: /no PEM certificate/ }]);
  t.match(problemsIn(tls('server.crt', 'server.crt')), [{ path: 'listen.tls.key', message: /no PEM private key/ }]);
  t.match(problemsIn(tls('server.crt', 'server.key', 'junk.crt')), [
    { path: 'listen.tls.client_ca', message: /no PEM certificate/ },
  ]);
});

t.test('a pool with one thing wrong is still asked for the rest', async (t) => {
  const text = 'feeds:\n  a: { format: web, url: x }\npools:\n  p: { profile: elastic, feeds: [b] }\n';
  t.strictSame(
    problemsIn(text).map(({ path }) => path),
    ['pools.p.profile', 'pools.p.feeds[0]'],
  );
});

t.test('print-config can be loaded in the place of the file, and prints the same again', async (t) => {
  const text = `listen: { port: 9000 }
identity: { name: CERT, description: "two\\nlines", contact: cert@corp.example }
taxii: { api_roots: { /api/taxii2/api/: {}, /other/: { title: Other } }, page_size: 500 }
feeds:
  known: { preset: known, lifetime: { url: 90m } }
  keyed: { format: web, url: "https://a.example/", key: { env: WEB_KEY }, window: { days: 3 }, headers: { X-A: "1" }, shrink_guard: off }
  gone: { format: web, url: "https://a.example/", key: { env: NO_KEY, optional: true }, enabled: false, mode: delta }
  union: { format: web, url: x, auth: { basic: { file: key.txt } } }
pools: { p: { feeds: [known, keyed, gone, union], profile: elastic-agent, keep: 45d } }
collections: { all: { pool: p }, high: { pool: p, types: [ipv4], min_confidence: 80, keep: 40d } }
`;
  const first = load(text);
  const second = load(first.effective);
  t.equal(second.effective, first.effective);
  t.strictSame(JSON.parse(JSON.stringify(second.config)), JSON.parse(JSON.stringify(first.config)));
  t.match(parse(first.effective), {
    feeds: {
      known: { preset: 'known', every: '1h', lifetime: { url: '90m', ipv4: '30d' }, shrink_guard: 0.5 },
      gone: { enabled: false },
    },
    pools: { p: { keep: '45d', tlp: 'amber' } },
    taxii: { max_page: 5000 },
  });
});

t.test('durations are read and written without loss', async (t) => {
  for (const text of ['0s', '1ms', '500ms', '90s', '10m', '36h', '30d', '3650d']) {
    t.equal(formatDuration(parseDuration(text) ?? Number.NaN), text);
  }
  t.equal(parseDuration('2w'), 14 * DAY);
  for (const text of ['', '1', 's', '1.5h', '-1s', '1 h', '1H', '3651d', '9999999999999s', '1h30m'])
    t.equal(parseDuration(text), undefined, text);
});

t.test('how upstreams are reached: the file’s proxy, a feed’s own, and what is inside', async (t) => {
  const address = `http://user:${CANARY}@proxy.example:3128`;
  const env = { env: { PROXY: address } };
  const text = `proxy: { env: PROXY }
feeds:
  plain: { format: web, url: "https://a.example/" }
  direct: { format: web, url: "https://b.example/", proxy: off, internal: true, refresh_on_read: false }
  asked: { format: web, url: "https://c.example/", proxy: environment }
  own: { format: web, url: "https://d.example/", proxy: "http://proxy.example:3128" }
pools: { p: { feeds: [plain, direct, asked, own] } }
collections: { c: { pool: p } }
`;
  const loaded = load(text, env);
  const ways = loaded.config.feeds.map(({ upstream }) => upstream);
  const [plain, direct, asked] = ways;
  const addresses = ways.map(({ proxy }) => (proxy instanceof Secret ? proxy.reveal() : proxy));
  t.match(plain, { internal: false, refreshOnRead: true });
  t.strictSame(addresses, [address, 'off', 'environment', 'http://proxy.example:3128']);
  t.strictSame(direct, { internal: true, proxy: 'off', refreshOnRead: false });
  t.equal(asked?.proxy, 'environment');
  const effective = parse(loaded.effective);
  t.notMatch(loaded.effective, CANARY);
  t.strictSame(effective.proxy, { env: 'PROXY' });
  t.match(effective.feeds.direct, { internal: true, proxy: 'off', refresh_on_read: false });
  t.equal(effective.feeds.plain.proxy, undefined, 'the file’s own counts');
  t.strictSame(load(loaded.effective, env).config.feeds.length, 4, 'and can be read again');
  t.equal(load('feeds: {}\n').config.feeds.length, 0);
});

t.test(
  'a proxy that is none is a problem where it stands, and a password in it never stands in the file',
  async (t) => {
    for (const [proxy, message] of [
      ['sometimes', /must be off, environment, http\(s\):\/\/HOST:PORT/],
      ['socks5://proxy.example', /must be off, environment/],
      ['http://proxy.example/path', /must be off, environment/],
      ['http://user:word@proxy.example:3128', /must not carry a user or password/],
      ['[off]', /must be|allowed forms/],
    ] as const) {
      const problems = problemsIn(`feeds:\n  a:\n    format: web\n    url: x\n    proxy: ${proxy}\n`);
      t.match(problems[0], { line: 5, path: 'feeds.a.proxy', message }, proxy);
      t.match(problemsIn(`proxy: ${proxy}\n`)[0], { line: 1, path: 'proxy', message }, proxy);
    }
  },
);

t.test('the reference in docs/ is what the schemas say', async (t) => {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  t.ok(text === makeReference(), 'docs/configuration.md is stale: node docs/generate.ts');
});

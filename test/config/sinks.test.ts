import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { problemsOf } from '../../src/config/problem.ts';
import { presets } from '../../src/feeds/presets.ts';
import { feedFormats } from '../../src/feeds/registry.ts';
import type { GatewayError } from '../../src/model/error.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { storeEngines } from '../../src/store/registry.ts';

/** Sinks as the file words them. */
const base = t.testdir({});
const CANARY = 'canary-4d1f';
const common = `
feeds: { drop: { format: stix, path: . } }
pools: { main: { feeds: [drop] } }
collections:
  all: { pool: main, tlp: amber }
  public: { pool: main, tlp: clear }
  secret: { pool: main, tlp: red }
sinks:
`;

function load(sinks: string, env: Record<string, string> = { ES_KEY: CANARY }) {
  return loadConfig(common + sinks, {
    path: join(base, 'sluice.yaml'),
    env,
    formats: feedFormats,
    presets,
    stores: storeEngines,
    sinks: sinkKinds,
    outputs,
    collectionIdOf: (name) => `id-of-${name}`,
  });
}

function complaints(sinks: string): string[] {
  try {
    load(sinks);
    return [];
  } catch (error) {
    return problemsOf(error as GatewayError).map(({ path, message }) => `${path}: ${message}`);
  }
}

t.test('several sinks, each with its own collections and ceiling', async (t) => {
  const { config } = load(`
  siem: { type: elasticsearch, node: "https://es.example:9200", api_key: { env: ES_KEY }, collections: [all, public] }
  vault: { type: elasticsearch, node: "https://es2.example", username: sluice, password: { env: ES_KEY }, tlp: red, collections: [secret], target: stream, stream: vault }
  out: { type: file, path: ./out, tlp: clear, collections: [public] }
`);
  t.match(
    config.sinks.map(({ name, kind, collections }) => [name, kind, collections.map(({ alias }) => alias)]),
    [
      ['siem', 'elasticsearch', ['all', 'public']],
      ['vault', 'elasticsearch', ['secret']],
      ['out', 'file', ['public']],
    ],
  );
  t.match(config.sinks[0]?.options, { target: 'latest', stream: 'indicator', concurrency: 4, timeout: 60_000 });
});

t.test('no sink is given more than its ceiling', async (t) => {
  const sink = (tlp: string, collections: string): string =>
    `  siem: { type: file, path: ./out, ${tlp}collections: [${collections}] }\n`;
  const table: [string, string, string[]][] = [
    ['', 'all, public', []],
    ['', 'secret', ["sinks.siem.collections[0]: may hold TLP:RED, above this sink's own tlp"]],
    ['tlp: green, ', 'public, all', ["sinks.siem.collections[1]: may hold TLP:AMBER, above this sink's own tlp"]],
    ['tlp: clear, ', 'public', []],
    ['tlp: red, ', 'secret, all', []],
  ];
  for (const [tlp, collections, expected] of table) {
    t.same(complaints(sink(tlp, collections)), expected, `${tlp}${collections}`);
  }
});

t.test('what is wrong is told where it stands', async (t) => {
  const table: [string, RegExp][] = [
    [
      '  siem: { type: elasticsaerch, collections: [all] }\n',
      /sinks.siem.type: must be .*did you mean elasticsearch\?/,
    ],
    ['  siem: { type: file, path: ./x }\n', /sinks.siem(?:.collections)?: .*(?:required|missing|must)/],
    [
      '  siem: { type: file, path: ./x, collections: [al] }\n',
      /collections\[0\]: names no collection; did you mean all\?/,
    ],
    ['  siem: { type: elasticsearch, collections: [all] }\n', /sinks.siem: needs either node or cloud_id/],
    ['  siem: { type: elasticsearch, node: "ftp://x", collections: [all] }\n', /sinks.siem.node/],
    ['  siem: { type: elasticsearch, node: "https://u:p@x", collections: [all] }\n', /sinks.siem.node/],
    ['  siem: { type: file, path: ./x, nods: 1, collections: [all] }\n', /sinks.siem.nods: is an unknown key/],
    [
      `  siem: { type: elasticsearch, node: "https://x", api_key: ${CANARY}, collections: [all] }\n`,
      /sinks.siem.api_key/,
    ],
  ];
  for (const [text, message] of table) {
    const told = complaints(text).join('\n');
    t.match(told, message);
    t.notMatch(told, CANARY, 'without a secret');
  }
});

t.test('a sink that is switched off, or whose key is not there yet, is told and left out', async (t) => {
  const { config, warnings } = load(
    `
  off: { type: file, enabled: false, path: ./x, collections: [all] }
  later: { type: elasticsearch, node: "https://x", api_key: { env: ES_KEY, optional: true }, collections: [all] }
`,
    {},
  );
  t.same(config.sinks, []);
  t.match(config.idleSinks, [
    { name: 'off', reason: 'disabled' },
    { name: 'later', reason: 'no-key', options: { target: 'latest' } },
  ]);
  t.match(warnings, [{ path: 'sinks.later', message: /ES_KEY/ }]);
});

t.test('threat.feed: of the only feed of a pool, else of the pool, unless the sink says otherwise', async (t) => {
  const feedsOf = (pools: string, collections: string) => {
    const file = `
feeds:
  drop: { format: stix, path: ., title: Our own finds }
  cert: { format: taxii, url: "https://taxii.example/root/", collections: [x], title: The CERT }
pools: ${pools}
collections: ${collections}
sinks:
  siem: { type: elasticsearch, node: "http://127.0.0.1:9200", collections: [all] }
`;
    const options = { path: join(base, 'sluice.yaml'), env: {}, formats: feedFormats, presets, stores: storeEngines };
    const { config } = loadConfig(file, {
      ...options,
      sinks: sinkKinds,
      outputs,
      collectionIdOf: (name) => `id-of-${name}`,
    });
    return config.sinks[0]?.collections[0]?.feed;
  };
  const all = '{ all: { pool: main, title: All indicators } }';
  t.same(feedsOf('{ main: { feeds: [drop] } }', all), { name: 'Our own finds', reference: null, description: null });
  t.same(feedsOf('{ main: { feeds: [cert] } }', all), {
    name: 'The CERT',
    reference: 'https://taxii.example',
    description: null,
  });
  t.same(feedsOf('{ main: { feeds: [cert, drop] } }', all), { name: 'main', reference: null, description: null });
  const said = '{ main: { feeds: [cert], title: Curated, reference: "https://wiki.example/cti", description: Ours } }';
  t.same(feedsOf(said, all), { name: 'Curated', reference: 'https://wiki.example/cti', description: 'Ours' });
  const described = '{ all: { pool: main, description: For the SIEM } }';
  t.equal(feedsOf(said, described)?.description, 'For the SIEM');
});

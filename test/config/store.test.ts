import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { type ConfigProblem, problemsOf } from '../../src/config/problem.ts';
import { GatewayError } from '../../src/model/error.ts';
import { servedEngines, storeOf } from '../../src/store/registry.ts';

const base = t.testdir();

const load = (text: string) =>
  loadConfig(text, {
    path: join(base, 'sluice.yaml'),
    env: {},
    formats: {},
    presets: {},
    stores: servedEngines,
    sinks: {},
    outputs: {},
    collectionIdOf: (name) => `id-of-${name}`,
  });

function problemsIn(text: string): ConfigProblem[] {
  try {
    load(text);
    return [];
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return problemsOf(error);
  }
}

t.test('the store is SQLite in the data directory, unless it says where else', async (t) => {
  for (const [text, location] of [
    ['', join(base, 'data')],
    ['data: /var/lib/sluice\n', '/var/lib/sluice'],
    ['store: sqlite\ndata: ./here\n', join(base, 'here')],
    ['store: { engine: sqlite }\n', join(base, 'data')],
    ['store: { engine: sqlite, path: ./fast }\n', join(base, 'fast')],
    ['store: { engine: sqlite, path: /fast }\n', '/fast'],
  ] as const) {
    const { config, effective } = load(text);
    t.equal(config.store.engine, 'sqlite');
    t.equal(storeOf(config).location, location, text);
    t.equal(storeOf(load(effective).config).location, location, 'print-config can be loaded in its place');
  }
  t.equal(parse(load('').effective).store, 'sqlite');
  t.strictSame(parse(load('store: { engine: sqlite, path: ./fast }\n').effective).store, {
    engine: 'sqlite',
    path: './fast',
  });
});

t.test('an engine that there is not, and keys that it does not have, are refused where they stand', async (t) => {
  t.match(problemsIn('store: sqlit\n'), [{ path: 'store', line: 1, message: /sqlite; did you mean sqlite\?/ }]);
  t.match(problemsIn('store: memory\n'), [{ path: 'store', message: 'must be sqlite' }], 'which is for tests');
  t.match(problemsIn('store: 7\n'), [{ path: 'store', message: /^must be/ }]);
  t.match(problemsIn('store: [sqlite]\n'), [{ path: 'store', message: /^must be/ }]);
  t.match(problemsIn('store: { path: ./fast }\n'), [{ path: 'store.engine', message: /^must be/ }]);
  t.match(problemsIn('store:\n  engine: sqlite\n  url: x\n'), [{ path: 'store.url', line: 3, message: /unknown key/ }]);
  t.match(problemsIn('store:\n  engine: sqlite\n  path: 3\n'), [{ path: 'store.path', line: 3 }]);
  t.throws(() => storeOf({ store: { engine: 'none', options: {} }, base, data: base }), { code: 'config-invalid' });
});

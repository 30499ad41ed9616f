// slow (5 s): gateways in processes of their own
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { Client } from 'undici';
import { hashKey } from '../../src/auth/keys.ts';
import type { NewClient } from '../../src/control/clients.ts';
import { type ControlConnection, connectControl, serveControl } from '../../src/control/socket.ts';
import { socketPathOf } from '../../src/control/socket-path.ts';
import { type Control, controlThrough, type VerbName } from '../../src/control/verbs.ts';
import { connectServer, serve } from '../../src/gateway.ts';
import { loadConfigFile } from '../../src/load.ts';
import { systemClock } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import { storeEngines } from '../../src/store/registry.ts';
import { openBackend } from '../../src/writer/backend.ts';
import { keepFirstClient } from '../../src/writer/first-client.ts';
import { scriptedClock } from '../helpers/clock.ts';

/** A Control with fixed results that remembers what it was asked. */
function echo(): Control & { asked: unknown[][] } {
  const asked: unknown[][] = [];
  const results: Partial<Record<VerbName, unknown>> = {
    poll: { feed: 'a', outcome: 'whole', error: null },
    status: { version: '1', feeds: [], now: 1_795_000_000_123_456 },
    rejections: { counts: [], rows: [{ row: 'ü\u0000"' }] },
    addClient: { key: 'k' },
    listClients: [],
  };
  const control = controlThrough(async (name, args) => {
    asked.push([name, ...args]);
    return results[name];
  });
  return { ...control, asked };
}

/** tap's own are too long for a socket's address. */
function shortDirectory(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'sl-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function connected(path: string): Promise<ControlConnection> {
  const remote = await connectControl(path);
  if (remote === null) throw new Error('nobody listens');
  return remote;
}

const client: NewClient = { name: 'blue', collections: ['ips'], tlp: 'green', rate: { max: 1, per: 1000 } };

t.test('each method crosses the socket with its arguments and its answer', async (t) => {
  const path = socketPathOf(shortDirectory(t));
  const control = echo();
  const server = await serveControl(path, control);
  t.equal(statSync(path).mode & 0o777, 0o600, 'for the owner alone');
  const remote = await connected(path);
  t.match(await remote.poll('a'), { feed: 'a', outcome: 'whole', error: null });
  t.match(await remote.status(), { now: 1_795_000_000_123_456 });
  t.match(await remote.rejections('a', 5), { rows: [{ row: 'ü\u0000"' }] });
  t.match(await remote.addClient(client), { key: 'k' });
  await remote.addClient({ ...client, collections: null });
  t.strictSame(await remote.listClients(), []);
  await remote.revokeClient('blue');
  t.strictSame(control.asked, [
    ['poll', 'a'],
    ['status'],
    ['rejections', 'a', 5],
    ['addClient', client],
    ['addClient', { ...client, collections: null }],
    ['listClients'],
    ['revokeClient', 'blue'],
  ]);
  await remote.close();
  await server.close();
  t.strictSame(readdirSync(dirname(path)), [], 'no socket is left behind');
  t.equal(await connectControl(path), null);
});

t.test('a running server is found by its data directory, without the keys that it was started with', async (t) => {
  const dir = shortDirectory(t);
  const file = join(dir, 'sluice.yaml');
  const feeds = 'feeds:\n  soc: { preset: socdefenders, key: { env: NOBODY_HAS_SET_THIS } }\n';
  mkdirSync(join(dir, 'data'));
  writeFileSync(file, feeds);
  t.equal(await connectServer(file, {}), null, 'none runs');
  const server = await serveControl(socketPathOf(join(dir, 'data')), echo());
  t.teardown(() => server.close());
  await t.rejects(loadConfigFile(file), { code: 'config-invalid' });
  for (const [text, overrides] of [
    [feeds, {}],
    [`data: ./data\n${feeds}`, {}],
    ['data: ./data\nunknown: true\n', {}],
    [`data: ./elsewhere\n${feeds}`, { data: join(dir, 'data') }],
  ] as const) {
    writeFileSync(file, text);
    const remote = await connectServer(file, overrides);
    t.match(await remote?.status(), { version: '1' }, text);
    await remote?.close();
  }
  for (const text of [`data: ./elsewhere\n${feeds}`, 'data: [./data]\n', 'data: "\n']) {
    writeFileSync(file, text);
    t.equal(await connectServer(file, {}), null, text);
  }
  await t.rejects(connectServer(join(dir, 'none.yaml'), {}), { code: 'config-invalid', message: /ENOENT/ });
});

t.test('errors cross the socket with code, message, details and time to wait', async (t) => {
  const path = socketPathOf(shortDirectory(t));
  const logged: unknown[] = [];
  const control = echo();
  control.poll = async () => {
    throw new GatewayError('budget-exhausted', 'Spent.', { retryAfter: 30, details: { account: 'a' } });
  };
  control.status = async () => {
    throw new Error('a secret cause');
  };
  const log = { error: (details: unknown) => void logged.push(details) };
  const server = await serveControl(path, control, { log: log as any });
  const remote = await connected(path);
  await t.rejects(remote.poll('a'), {
    name: 'GatewayError',
    code: 'budget-exhausted',
    message: 'Spent.',
    retryAfter: 30,
    details: { account: 'a' },
  });
  await t.rejects(remote.status(), { code: 'internal', message: 'The server failed at this; its log says why.' });
  t.match(logged, [{ err: { message: 'a secret cause' } }], 'and the log does');
  await t.rejects(remote.rejections('a', -1), { code: 'bad-request' });
  await t.rejects(remote.rejections('x'.repeat(300_000), 1), { code: 'body-too-large' });
  await t.rejects(remote.addClient({ ...client, tlp: 'white' as 'clear' }), { code: 'bad-request' });
  await t.rejects((remote as any).poll(), { code: 'bad-request' });
  t.strictSame(control.asked, [], 'what does not fit reaches nobody');
  await remote.close();
  await server.close();
});

t.test('what is no command is refused in the same form', async (t) => {
  const path = socketPathOf(shortDirectory(t));
  const server = await serveControl(path, echo());
  const raw = new Client('http://localhost', { socketPath: path });
  for (const request of [
    { method: 'POST', path: '/constructor', body: '[]' },
    { method: 'GET', path: '/status' },
    { method: 'POST', path: '/status', body: '{"a"' },
    { method: 'POST', path: '/status', body: '{}' },
  ] as const) {
    const response = await raw.request({ ...request, headers: { 'content-type': 'application/json' } });
    t.match(await response.body.json(), { error: { code: 'bad-request' } }, `${request.method} ${request.path}`);
    t.equal(response.statusCode, 400);
  }
  await raw.close();
  await server.close();
});

t.test('a server that goes away while it is asked is told as such', async (t) => {
  const path = socketPathOf(shortDirectory(t));
  const asked = Promise.withResolvers<void>();
  const control = echo();
  control.poll = () => {
    asked.resolve();
    return new Promise(() => {});
  };
  const server = await serveControl(path, control);
  const remote = await connected(path);
  const polling = t.rejects(remote.poll('a'), { code: 'unavailable' });
  await asked.promise;
  await server.close();
  await polling;
  await remote.close();
});

t.test('a socket file that a killed server left is taken over', async (t) => {
  const path = socketPathOf(shortDirectory(t));
  const child = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`,
  ]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(statSync(path).isSocket(), 'it is there');
  t.equal(await connectControl(path), null, 'and nobody listens');
  const server = await serveControl(path, echo());
  const remote = await connected(path);
  t.match(await remote.status(), { version: '1' });
  await remote.close();
  await server.close();
});

t.test(
  'a data directory with a path longer than a socket address still has its socket',
  { skip: process.platform !== 'linux' && 'reached through /proc' },
  async (t) => {
    const path = socketPathOf(join(t.testdir(), 'd'.repeat(120)));
    t.equal(await connectControl(path), null, 'without the directory, nobody listens');
    mkdirSync(dirname(path));
    t.equal(await connectControl(path), null);
    const server = await serveControl(path, echo());
    t.ok(statSync(path).isSocket());
    const remote = await connected(path);
    t.match(await remote.status(), { version: '1' });
    await remote.close();
    await server.close();
    t.strictSame(readdirSync(dirname(path)), []);
  },
);

t.test('a place where no socket can be made is an error, not a crash', async (t) => {
  const dir = t.testdir({ 'sluice.sock': { file: '' } });
  await t.rejects(serveControl(socketPathOf(dir), echo()), { code: 'unavailable' });
  await t.rejects(serveControl(socketPathOf(join(dir, 'none')), echo()), { code: 'unavailable' });
});

t.test('a listener that speaks no HTTP is no server of ours', async (t) => {
  const path = socketPathOf(shortDirectory(t));
  const other = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('hello\n'));
  });
  await new Promise<void>((resolve) => other.listen(path, resolve));
  const remote = await connected(path);
  await t.rejects(remote.status(), { code: 'unavailable' });
  await remote.close();
  await new Promise((resolve) => other.close(resolve));
});

t.test('the first client is made of a key that is kept already, wherever a start is killed', async (t) => {
  const dir = t.testdir({ 'sluice.yaml': 'data: ./data' });
  const { config } = await loadConfigFile(join(dir, 'sluice.yaml'));
  const side = await openBackend(config, { clock: systemClock, onClients: () => {}, onError: t.error });
  t.teardown(() => side.close());
  const file = join(config.data, 'initial.key');
  const isDead = new Error('killed');
  const killed = { ...side, addFirstClient: () => Promise.reject(isDead) };
  await t.rejects(keepFirstClient(config.data, killed), isDead);
  t.equal(statSync(file).mode & 0o777, 0o600, 'for the owner alone');
  const key = readFileSync(file, 'utf8').trim();
  t.strictSame(await keepFirstClient(config.data, side), { path: file, newKey: key, isGood: true });
  t.match(await side.listClients(), [{ name: 'initial', keyHashes: [hashKey(key)] }]);
  t.strictSame(await keepFirstClient(config.data, side), { path: file, newKey: null, isGood: true });
  t.equal(readFileSync(file, 'utf8').trim(), key, 'and stays as it is');

  writeFileSync(file, 'half a k');
  t.match(await keepFirstClient(config.data, side), { newKey: null, isGood: false }, 'nobody is told to use a bad one');
  writeFileSync(file, `${key}\n`);
  await side.revokeClient('initial');
  t.match(await keepFirstClient(config.data, side), { newKey: null, isGood: false }, 'a revoked client stays revoked');
  t.equal((await side.listClients()).length, 1);
});

t.test('what stands in the place of the first key is no key until it reads like one', async (t) => {
  const dir = t.testdir({ 'sluice.yaml': 'data: ./data', data: { 'initial.key': 'changeme\n' } });
  const { config } = await loadConfigFile(join(dir, 'sluice.yaml'));
  const side = await openBackend(config, { clock: systemClock, onClients: () => {}, onError: t.error });
  t.teardown(() => side.close());
  const { newKey } = await keepFirstClient(config.data, side);
  t.match(newKey, /^slc_[A-Za-z0-9_-]{43}$/);
  t.equal(readFileSync(join(config.data, 'initial.key'), 'utf8'), `${newKey}\n`);
  t.equal(statSync(join(config.data, 'initial.key')).mode & 0o777, 0o600);
  const nowhere = { listClients: async () => [], addFirstClient: async () => true };
  await t.rejects(keepFirstClient(join(dir, 'none'), nowhere), { code: 'store-failed' });
});

t.test(
  'a poll that is asked for while journals are being brought up waits for them; the status does not',
  async (t) => {
    const collections = Array.from({ length: 60 }, (_, i) => `  c${i}: { pool: p, min_confidence: ${i} }`).join('\n');
    const yaml = `data: ./data
feeds: { a: { format: stix, path: ./a.json } }
pools: { p: { feeds: [a] } }
collections:
${collections}
`;
    const row = {
      type: 'indicator',
      spec_version: '2.1',
      id: 'indicator--00000000-0000-4000-8000-000000000001',
      created: '2026-01-01T00:00:00.000Z',
      modified: '2026-01-01T00:00:00.000Z',
      valid_from: '2026-01-01T00:00:00.000Z',
      valid_until: '2099-01-01T00:00:00.000Z',
      pattern_type: 'stix',
      pattern: "[ipv4-addr:value = '198.51.100.1']",
      confidence: 100,
    };
    const dir = t.testdir({ 'sluice.yaml': yaml, 'a.json': JSON.stringify(row) });
    const { config } = await loadConfigFile(join(dir, 'sluice.yaml'));
    const side = await openBackend(config, { clock: systemClock, onClients: () => {}, onError: t.error });
    t.teardown(() => side.close());
    let isReconciled = false;
    const reconciled = side.reconcile().then(() => {
      isReconciled = true;
    });
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      if (!isReconciled) setImmediate(turn);
    };
    setImmediate(turn);
    const polled = side.poll('a');
    const attempts: unknown[] = [];
    for (;;) {
      const { feeds } = await side.status();
      if (isReconciled) break;
      attempts.push(feeds[0]?.attemptedAt);
      // As the thread's messages do, this waits for its turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok(attempts.length > 1, 'the status is told meanwhile');
    t.ok(turns > 60, `${turns} times the thread could have heard a message`);
    t.ok(
      attempts.every((at) => at === null),
      'and nobody has polled',
    );
    t.match(await polled, { outcome: 'whole', error: null, entries: 61 });
    t.ok(isReconciled);
    await reconciled;
  },
);

t.test('a stop while journals are being brought up is heard, and nothing is begun after it', async (t) => {
  const yaml = `listen: { port: 0 }
log: { level: silent }
data: ./data
feeds: { a: { format: stix, path: ./a.json } }
pools: { p: { feeds: [a] } }
collections: { c: { pool: p } }
`;
  const dir = t.testdir({ 'sluice.yaml': yaml, 'a.json': '{}' });
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  await serve(await loadConfigFile(join(dir, 'sluice.yaml')), { say, isTerminal: false, signal: AbortSignal.abort() });
  t.strictSame(said, [], 'no welcome');
  t.notOk(existsSync(join(dir, 'data', 'initial.key')), 'no first client');
  const lock = await storeEngines.sqlite.at({}, { base: dir, data: join(dir, 'data') }).lock();
  lock.release();
});

t.test('both threads go by one reading of the file, whatever became of it since', async (t) => {
  const yaml = (alias: string) => `listen: { port: 0 }
log: { level: silent }
data: ./data
feeds: { a: { format: stix, path: ./a.json } }
pools: { p: { feeds: [a] } }
collections: { ${alias}: { pool: p } }
`;
  const dir = t.testdir({ 'sluice.yaml': yaml('first'), 'a.json': '{}' });
  const file = join(dir, 'sluice.yaml');
  const loaded = await loadConfigFile(file);
  writeFileSync(file, yaml('second'));
  const stop = new AbortController();
  const said: string[] = [];
  const seen = Promise.withResolvers<string[]>();
  const running = serve(loaded, {
    say: (line) => {
      said.push(line);
      if (!line.includes('collections/')) return;
      connectServer(file, {})
        .then(async (control) => {
          const { collections } = (await control?.status()) ?? { collections: [] };
          await control?.close();
          seen.resolve(collections.map(({ alias }) => alias));
        })
        .catch(seen.reject);
    },
    isTerminal: false,
    signal: stop.signal,
  });
  t.strictSame(await seen.promise, ['first'], 'the writing thread');
  t.match(said.at(-1), 'collections/first/', 'the serving thread');
  stop.abort();
  await running;
});

t.test('dates ahead of a clock that was set back are told once, until it has caught up', async (t) => {
  const dir = t.testdir({
    'sluice.yaml': 'data: ./data\npools: { p: { feeds: [a] } }\nfeeds: { a: { format: stix, path: . } }',
  });
  const { config } = await loadConfigFile(join(dir, 'sluice.yaml'));
  const clock = scriptedClock(1_795_000_000_000_000);
  const told: number[] = [];
  const quiet = { onClients: () => {}, onError: t.error, onDatesAhead: (ahead: number) => void told.push(ahead) };
  const side = await openBackend(config, { clock, ...quiet });
  t.teardown(() => side.close());
  await side.reconcile();
  await side.tick();
  t.strictSame(told, []);
  clock.set(clock.now() - 3_600_000_000);
  for (let i = 0; i < 3; i += 1) await side.tick();
  t.equal(told.length, 1);
  t.ok((told[0] ?? 0) >= 3_600_000);
  clock.set(clock.now() + 3_700_000_000);
  await side.tick();
  clock.set(clock.now() - 3_700_000_000);
  await side.tick();
  t.equal(told.length, 2, 'and again when it happens again');
});

// slow (5 s): servers in processes of their own
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { AppParts } from '../../routes/app.ts';
import { MAX_OVER_LIMIT } from '../../routes/connections.ts';
import { Secret } from '../../src/model/secret.ts';
import { answerBytesWithin, connectionsWithin, oldHeapLimit } from '../../src/process-limits.ts';
import { KEY, openApp } from '../helpers/app.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { BIN, startServe } from '../helpers/serve.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OBJECTS = '/api/taxii2/api/collections/all/objects/';

/** The application on a port, and ways to reach it. */
async function openDoors(t: Test, parts: Partial<AppParts>) {
  const { app } = await openApp(t, parts);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as { port: number };
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  const open = async (from: Partial<NetConnectOpts> = {}): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', ...from } as NetConnectOpts);
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  const count = () => new Promise<number>((resolve) => app.server.getConnections((_, number) => resolve(number)));
  const counted = async (expected: number): Promise<void> => {
    while ((await count()) !== expected) await new Promise(setImmediate);
  };
  return { app, port, open, count, counted };
}

const request = (path: string, key: string | null = KEY) =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\n${key === null ? '' : `Authorization: Bearer ${key}\r\n`}\r\n`;

/** Asks on a connection and reads its one answer to the end of its body. */
async function ask(socket: Socket, path: string, key: string | null = KEY): Promise<{ status: number; head: string }> {
  socket.write(request(path, key));
  let text = '';
  while (!/\r\n\r\n[\s\S]*[}\n]$/.test(text)) {
    const [part] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [null])]);
    if (part === null) throw new Error(`closed after: ${text}`);
    text += part;
  }
  return { status: Number(text.slice(9, 12)), head: text.split('\r\n\r\n')[0] ?? '' };
}

t.test('when all connections are used, health is still answered and everything else is 503', async (t) => {
  const { open, counted } = await openDoors(t, { maxConnections: 2 });
  const first = await open();
  await open();
  await counted(2);
  const health = await ask(await open(), '/healthz', null);
  t.equal(health.status, 200);
  t.match(health.head, /connection: close/i);
  const page = await ask(await open(), OBJECTS);
  t.equal(page.status, 503);
  t.match(page.head, /retry-after: 5\r\n[\s\S]*connection: close|connection: close[\s\S]*retry-after: 5/i);
  t.match(page.head, /application\/taxii\+json/);
  await counted(2);
  for (let i = 0; i < 3 * MAX_OVER_LIMIT; i += 1) {
    const silent = await open();
    if (i % MAX_OVER_LIMIT === 0) t.equal((await ask(silent, '/readyz', null)).status, 200, `silent ${i}`);
  }
  t.equal((await ask(await open(), '/healthz', null)).status, 200, 'behind all that are silent');
  await counted(2 + MAX_OVER_LIMIT - 1);
  first.destroy();
  await counted(2 + MAX_OVER_LIMIT - 2);
  t.equal((await ask(await open(), OBJECTS)).status, 200, 'a place that is left is taken');
});

t.test('connections are limited per address, but not behind a proxy', async (t) => {
  const { open, counted } = await openDoors(t, { maxConnections: 50, maxConnectionsPerAddress: 3 });
  for (let i = 0; i < 3; i += 1) t.equal((await ask(await open(), OBJECTS)).status, 200);
  t.equal((await ask(await open(), OBJECTS)).status, 503, 'the fourth of 127.0.0.1');
  await counted(3);
  const elsewhere = await open({ localAddress: '127.0.0.2' } as Partial<NetConnectOpts>);
  t.equal((await ask(elsewhere, OBJECTS)).status, 200, '127.0.0.2 has its own');
  elsewhere.destroy();
  const proxied = await openDoors(t, { maxConnections: 50, maxConnectionsPerAddress: null });
  for (let i = 0; i < 20; i += 1) t.equal((await ask(await proxied.open(), OBJECTS)).status, 200);
});

t.test('a host name of two addresses is served by one server with its bounds', async (t) => {
  const { app } = await openApp(t, { maxConnections: 2 });
  await app.listen({ host: 'localhost', port: 0 });
  t.equal(app.addresses().length, 1);
});

t.test('TLS connections are counted and released as others', async (t) => {
  const certificates = makeCertificates(t, t.testdir());
  if (certificates === null) return;
  const secret = (name: string) => new Secret(certificates.read(name));
  const tls = { cert: secret('server.crt'), key: secret('server.key'), clientCa: null };
  const { port, counted } = await openDoors(t, { tls, maxConnections: 2, maxConnectionsPerAddress: 2 });
  const open = async (): Promise<Socket> => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    t.teardown(() => socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  };
  for (let round = 0; round < 2; round += 1) {
    const held = [await open(), await open()];
    for (const socket of held) t.equal((await ask(socket, OBJECTS)).status, 200, `round ${round}`);
    t.equal((await ask(await open(), OBJECTS)).status, 503);
    t.equal((await ask(await open(), '/healthz', null)).status, 200);
    for (const socket of held) socket.destroy();
    await counted(0);
  }
});

t.test('connections stay open for clients that signed in, and for a proxy', async (t) => {
  const direct = await openDoors(t, {});
  for (const [path, key, status] of [
    [OBJECTS, null, 401],
    [OBJECTS, 'slc_wrong', 401],
    ['/nothing', null, 404],
    ['/healthz', null, 200],
  ] as const) {
    const { status: answered, head } = await ask(await direct.open(), path, key);
    t.equal(answered, status);
    t.match(head, /connection: close/i, `${path} ${key}`);
  }
  await direct.counted(0);
  t.match((await ask(await direct.open(), OBJECTS)).head, /connection: keep-alive/i);
  t.match((await ask(await direct.open(), '/api/v1/nothing')).head, /connection: keep-alive/i, 'a good key is enough');
  const proxied = await openDoors(t, { trustProxy: true });
  t.match((await ask(await proxied.open(), OBJECTS, null)).head, /connection: keep-alive/i);
});

t.test('behind a proxy only an address is a caller: no other text evades the limit of failed sign-ins', async (t) => {
  const { app } = await openApp(t, { trustProxy: true });
  const fail = (forwarded: string) =>
    app.inject({ url: OBJECTS, headers: { authorization: 'Bearer wrong', 'x-forwarded-for': forwarded } });
  const statuses = async (texts: string[]) => {
    const answers = [];
    for (const text of texts) answers.push((await fail(text)).statusCode);
    return answers;
  };
  const refused = Array.from({ length: 25 }, (_, i) => (i < 20 ? 401 : 429));
  const garbage = Array.from({ length: 25 }, (_, i) => `${'x'.repeat(i)}, unknown-${i}`);
  t.strictSame(await statuses(garbage), refused, 'all of it is the proxy');
  const ports = Array.from({ length: 25 }, (_, i) => (i % 2 === 0 ? '192.0.2.1' : `192.0.2.1:${40_000 + i}`));
  t.strictSame(await statuses(ports), refused, 'an address is the same with a port behind it');
  const hosts = Array.from({ length: 25 }, (_, i) => `[2001:db8::${i}]:${i}`);
  t.strictSame(await statuses(hosts), refused, 'and so is a network');
  t.strictSame(await statuses(['192.0.2.2', 'spoofed, 192.0.2.3']), [401, 401], 'others are apart');
});

t.test('connections leave descriptors for everything else, and answers most of the heap', (t) => {
  t.equal(answerBytesWithin(64, 1000), 64);
  t.equal(answerBytesWithin(640, 1000), 250);
  const mib = 2 ** 20;
  t.equal(oldHeapLimit(288 * mib, ''), 96 * mib, 'of which three semi-spaces are no part');
  t.equal(oldHeapLimit(120 * mib, '--max-old-space-size=96 --max-semi-space-size=8'), 96 * mib);
  t.equal(oldHeapLimit(80 * mib, ''), 10 * mib, 'never nothing');
  t.ok(answerBytesWithin(Number.MAX_SAFE_INTEGER) < 2 ** 40, 'the heap of this process has a limit');
  t.strictSame(connectionsWithin(1000, null), { most: 1000, limit: null });
  t.strictSame(connectionsWithin(1000, 20_000), { most: 1000, limit: null });
  t.strictSame(connectionsWithin(1000, 1024), { most: 768, limit: 1024 });
  t.strictSame(connectionsWithin(1000, 256), { most: 128, limit: 256 });
  t.strictSame(connectionsWithin(100, 256), { most: 100, limit: null });
  t.end();
});

/** A program under a limit of open files. */
const limited = (files: number) => ['-c', `ulimit -n ${files}; exec "$0" "$@"`, process.execPath];

t.test('more connections than descriptors are refused, and the process lives on', async (t) => {
  const dir = t.testdir({
    'sluice.yaml': 'listen: { port: 0, max_connections_per_address: 1000 }\nlog: { level: warn }\n',
  });
  const args = [BIN, 'serve', '--config', join(dir, 'sluice.yaml')];
  const { child, port, ended, printed } = await startServe(t, 'sh', [...limited(200), ...args]);
  t.match(printed(), /max_connections is 1000, but this process may open 200 files.*: 100 are in force/);
  const sockets = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => (socket.connecting ? once(socket, 'connect').catch(() => null) : null)));
  for (let i = 0; i < 5; i += 1) {
    const probe = connect(port, '127.0.0.1');
    await once(probe, 'connect');
    t.equal((await ask(probe, '/healthz', null)).status, 200, `probe ${i}`);
  }
  t.equal(child.exitCode, null, printed());
  t.notMatch(printed(), /EMFILE|"level":60/);
  for (const socket of sockets) socket.destroy();
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
});

t.test('overload is measured without opening a file, also when no descriptor is left', (t) => {
  const program = `
    import { openSync } from 'node:fs';
    import { measurePressure } from ${JSON.stringify(join(ROOT, 'routes', 'pressure.ts'))};
    let now = 0;
    const gauge = measurePressure({ now: () => now }, { eventLoopDelay: 1_000_000, heapBytes: 1 });
    let failed = '';
    while (failed === '') try { openSync('/dev/null'); } catch (error) { failed = error.code; }
    let memory = '';
    try { process.memoryUsage(); } catch (error) { memory = error.code; }
    const isHigh = gauge.isHigh();
    now += 2_000_000;
    process.stdout.write([failed, memory, isHigh, gauge.isHigh()].join(' '));
    gauge.close();
  `;
  const args = [...limited(64), '--input-type=module', '--eval', program];
  const { stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
  t.equal(stdout, 'EMFILE EMFILE true true', stderr);
  t.end();
});

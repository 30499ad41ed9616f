// slow (15 s): hundreds of connections to a server in a process of its own
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { stixIndicator } from '../helpers/indicator.ts';
import { BIN, startServe } from '../helpers/serve.ts';

const ROWS = 20_000;
/** The main thread's heap, and all that the process may hold beside what the kernel can take back: half of what compose.yaml gives. */
const HEAP_MIB = 96;
const MOST_MIB = 512;

/** The real thing in a process of its own, with a small heap and a full collection. */
async function startGateway(t: Test) {
  const rows = Array.from({ length: ROWS }, (_, i) => {
    const indicator = stixIndicator(i, `[domain-name:value = 'host-${i}.example.net']`, { labels: ['botnet'] });
    return `${JSON.stringify(indicator)}\n`;
  }).join('');
  const dir = t.testdir({
    'rows.ndjson': rows,
    'sluice.yaml': `
listen: { port: 0, max_connections_per_address: 1000 }
log: { level: warn }
feeds: { house: { format: stix, path: ./rows.ndjson, mode: delta, tlp: green } }
pools: { main: { feeds: [house] } }
collections: { all: { pool: main } }
`,
  });
  const config = ['--config', join(dir, 'sluice.yaml')];
  const args = [`--max-old-space-size=${HEAP_MIB}`, BIN, 'serve', ...config];
  const { child, port, ended, printed } = await startServe(t, process.execPath, args);
  const command = (...words: string[]) =>
    execFileSync(process.execPath, [BIN, ...words, ...config, '--json'], { encoding: 'utf8' });
  command('poll', 'house');
  const { key } = JSON.parse(command('client', 'add', 'crowd', '--rate', '1000000/s')) as { key: string };
  return { child, ended: ended.then(([code, signal]) => `${code} ${signal} ${printed()}`), port, key };
}

/** What a process holds that only ending it would give back, in MiB (RssAnon, proc(5)); null where there is no /proc. */
function memoryOf(pid: number): number | null {
  try {
    return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return null;
  }
}

const request = (path: string, key: string) =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`;

/** Connections that ask for `path` all at once, and again as soon as they are answered, whatever the answer, until they end. */
function openCrowd(t: Test, size: number, path: string, { port, key }: { port: number; key: string }) {
  const answers: Record<string, number> = {};
  const sockets: Socket[] = [];
  let all = 0;
  let isOver = false;
  for (let i = 0; i < size; i += 1) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    let status: string | null = null;
    let tail = '';
    const begin = () => {
      status = null;
      tail = '';
      socket.write(request(path, key));
    };
    socket.on('error', (error) => isOver || t.error(error, `connection ${i}`));
    socket.on('connect', begin);
    socket.on('data', (part) => {
      status ??= part.toString('latin1', 9, 12);
      tail = (tail + part.toString('latin1', Math.max(0, part.length - 2000))).slice(-2000);
      const isWhole = /content-length: /i.test(tail) ? tail.endsWith('}') : tail.endsWith('\r\n0\r\n\r\n');
      if (!isWhole) return;
      all += 1;
      answers[status] = (answers[status] ?? 0) + 1;
      begin();
    });
  }
  const end = (): void => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
  t.teardown(end);
  return { answers, count: () => all, end };
}

/** Asks once, on a connection of its own; the status. */
async function ask(port: number, path: string, key = ''): Promise<number | undefined> {
  const headers = { authorization: `Bearer ${key}` };
  const [reply] = await once(get({ port, host: '127.0.0.1', path, headers, agent: false }), 'response');
  reply.resume();
  return reply.statusCode;
}

/** The exit of a process is told a moment after its connections are reset. */
const hasEndedSoon = (ended: Promise<unknown>): Promise<boolean> =>
  Promise.race([ended.then(() => true), setTimeout(1000, false)]);

t.test('five hundred busy connections neither keep health waiting nor outgrow a small container', async (t) => {
  const gateway = await startGateway(t);
  const { port, child, ended, key } = gateway;
  let peak: number | null = null;
  const idle = memoryOf(child.pid as number);
  const mustBeWell = async (): Promise<void> => {
    // A server that ended resets its connections: how it ended is the failure to tell.
    const health = ask(port, '/healthz').catch(async (error: Error) => {
      const isEnded = child.exitCode !== null || child.signalCode !== null || (await hasEndedSoon(ended));
      return isEnded ? ended : `nothing: ${error.message}`;
    });
    const status = await Promise.race([health, ended]);
    if (status !== 200) throw new Error(`health answered ${status}`);
    const memory = memoryOf(child.pid as number);
    if (memory !== null) peak = Math.max(peak ?? 0, memory);
  };

  const crowd = openCrowd(t, 500, '/api/v1/iocs?limit=1000&collection=all', gateway);
  let longest = 0;
  while (crowd.count() < 1500) {
    const before = crowd.count();
    await mustBeWell();
    longest = Math.max(longest, crowd.count() - before);
  }
  // Counted, because time is the machine's: without turns for refusals and connections it was more than 10,000.
  t.ok(longest < 700, `${longest} were answered while health was asked for`);
  const { 200: served = 0, 429: held = 0, 503: sent = 0, ...others } = crowd.answers;
  t.strictSame(others, {});
  t.ok(served * 200 >= crowd.count(), `${served} were served, which was one of a thousand`);
  t.ok(held + sent > 0, `${held} and ${sent} were refused`);
  crowd.end();
  // Only health is promised an answer while so many connections end: a request that is cut off is made again.
  const isServing = () => ask(port, '/api/v1/iocs?limit=1', key).catch((error: Error) => t.comment(error.message));
  while ((await isServing()) !== 200) await mustBeWell();

  const silent = openSilent(t, 590, gateway);
  while (silent.count() < 590) await mustBeWell();
  const { 200: streams = 0, 429: bounded = 0, 503: crowded = 0, ...rest } = silent.answers;
  t.strictSame(rest, {});
  t.ok(streams >= 1 && streams < 50, `${streams} streams that nobody reads were begun`);
  t.equal(streams + bounded + crowded, 590, 'and all others refused');
  silent.end();
  if (peak === null) t.pass('memory', { skip: 'no /proc tells how much a process holds' });
  else t.ok(peak < MOST_MIB, `${Math.round(peak)} MiB at most, ${Math.round(idle ?? 0)} before`);
  child.kill('SIGTERM');
  t.match(await ended, /^0 null/);
});

/** Connections that ask for a stream without end and read no more than its head. */
function openSilent(t: Test, size: number, { port, key }: { port: number; key: string }) {
  const answers: Record<string, number> = {};
  const sockets: Socket[] = [];
  let all = 0;
  let isOver = false;
  for (let i = 0; i < size; i += 1) {
    const socket = connect(port, '127.0.0.1', () => socket.write(request('/api/v1/iocs/stix?collection=all', key)));
    socket.on('error', (error) => isOver || t.error(error, `connection ${i}`));
    socket.once('data', (part) => {
      const status = part.toString('latin1', 9, 12);
      answers[status] = (answers[status] ?? 0) + 1;
      all += 1;
      socket.pause();
    });
    sockets.push(socket);
  }
  const end = (): void => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
  t.teardown(end);
  return { answers, count: () => all, end };
}

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get as httpGet, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatMicros, parseTimestamp } from '../src/model/timestamp.ts';
import { keepAwake, machine, median } from './measure.ts';
import { keepPage, type Rival, startFastify, startNginx } from './rivals.ts';
import { startGateway, ticksOf } from './server.ts';

/**
 * Serving, measured from outside on a gateway of its own: pages kept ready beside nginx's static file of the same bytes, 304s,
 * cold and deep pages, and what a reader feels while rows come in. What is compared takes turns in one run; ratios count. Each
 * is told twice: by requests a second, which whatever else runs on the machine takes part in, and by processor time a request.
 *
 *   node bench/serve.ts [--rows 1000000] [--seconds 2] [--rounds 7]
 */

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
  },
});
const ROWS = Number(options.rows);
const SECONDS = Number(options.seconds);
const ROUNDS = Number(options.rounds);
const FIRST_ROWS = 10_000;
const COLD_PAGES = 100;
/** Before any is counted: the compiler has seen a gateway's pages long before the page that somebody waits for. */
const WARMING_PAGES = 300;
const CONNECTIONS = 16;

/** Dates that were asked for: a microsecond later is another page of nearly the same objects. */
let asked = 0;

const launcher = new URL('../bin/sluice.mjs', import.meta.url).pathname;
const objects = '/api/taxii2/api/collections/all/objects/';

for (const [tool, packageName] of [['wrk', 'wrk']] as const) {
  if (spawnSync(tool, ['-v']).error !== undefined) {
    console.log(`Nothing was measured: ${tool} is missing (Debian: apt-get install ${packageName}).`);
    process.exit(0);
  }
}
const hasNginx = spawnSync('nginx', ['-v']).error === undefined;
if (!hasNginx) console.log('nginx is missing (Debian: apt-get install nginx-light): no comparison with static files.');

const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
const children: ChildProcess[] = [];
try {
  await measure();
} finally {
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')));
  rmSync(dir, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  mkdirSync(join(dir, 'first'));
  mkdirSync(join(dir, 'more'));
  await writeRows(join(dir, 'first', 'rows.ndjson'), 0, FIRST_ROWS);
  await writeRows(join(dir, 'rows.ndjson'), FIRST_ROWS, ROWS);
  const config = join(dir, 'sluice.yaml');
  const feed = (path: string) => `{ format: stix, path: ./${path}, mode: delta, every: 30d, tlp: green }`;
  writeFileSync(
    config,
    `listen: { port: 0 }
log: { level: error }
metrics: { public: true }
feeds: { first: ${feed('first')}, more: ${feed('more')} }
pools: { main: { feeds: [first, more] } }
collections: { all: { pool: main } }
`,
  );
  const gateway = await startGateway(launcher, config);
  children.push(gateway.child);
  const { base, pid } = gateway;
  const command = (...args: string[]) =>
    execFileSync(process.execPath, [launcher, ...args, '--config', config, '--json'], { encoding: 'utf8' });
  command('poll', 'first');
  const { key } = JSON.parse(command('client', 'add', 'bench', '--rate', '1000000/s'));
  const auth = { authorization: `Bearer ${key}` };
  const url = `${base}${objects}?limit=1000`;

  const plain = await fetchBytes(url, auth);
  const packed = await fetchBytes(url, { ...auth, 'accept-encoding': 'gzip' });
  const gzip = { ...auth, 'accept-encoding': 'gzip' };
  console.log(machine());
  console.log(keepAwake());
  console.log(`a page of 1000: ${plain.body.length} bytes, gzip ${packed.body.length}`);
  keepPage(dir, plain, packed);
  const ours = { url, pid };
  const fastify = await rival(startFastify(dir));
  const bare = { url: `${fastify.base}/page`, pid: fastify.pid };
  const nginx = hasNginx ? await rival(startNginx(dir)) : null;
  const file = nginx === null ? null : { url: `${nginx.base}/page.json`, pid: nginx.pid };
  const unchanged = { ...gzip, 'if-none-match': String(packed.headers.etag) };
  const result = compare([
    ...(file === null ? [] : [{ ...file, name: 'nginx static', headers: {} }]),
    { ...ours, name: 'cached page', headers: auth },
    { ...bare, url: `${fastify.base}/objects`, name: 'the page from objects', headers: auth },
    ...(file === null ? [] : [{ ...file, name: 'nginx gzip_static', headers: { 'accept-encoding': 'gzip' } }]),
    { ...bare, name: 'bare Fastify, gzip', headers: gzip },
    { ...ours, name: 'cached page, gzip', headers: gzip },
    { ...bare, name: 'bare Fastify, 304', headers: unchanged },
    { ...ours, name: '304', headers: unchanged },
  ]);
  const tell = (a: string, b: string, target?: number): void => {
    const [one, other] = [result.get(a), result.get(b)];
    if (one === undefined || other === undefined) return;
    // Of the same round: a machine that others share is as fast for both.
    const byRate = median(one.map(({ rate }, i) => rate / (other[i]?.rate ?? Number.NaN)));
    const byCpu = median(one.map(({ cpu }, i) => (other[i]?.cpu ?? Number.NaN) / cpu));
    const ratios = `${byRate.toFixed(2)}, by processor time ${byCpu.toFixed(2)}`;
    console.log(`  ${a} / ${b}: ${ratios}${target ? ` (target ${target})` : ''}`);
  };
  tell('cached page', 'nginx static', 0.9);
  tell('cached page, gzip', 'nginx gzip_static', 0.4);
  tell('304', 'cached page, gzip', 1.5);
  tell('cached page', 'the page from objects', 10);
  tell('cached page, gzip', 'bare Fastify, gzip');
  tell('304', 'bare Fastify, 304');
  tell('bare Fastify, gzip', 'nginx gzip_static');
  tell('bare Fastify, 304', 'bare Fastify, gzip');

  await coldPages(base, auth, FIRST_ROWS);
  await whileRowsComeIn(url, gzip, () => {
    renameSync(join(dir, 'rows.ndjson'), join(dir, 'more', 'rows.ndjson'));
    return spawn(process.execPath, [launcher, 'poll', 'more', '--config', config, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  });
  await coldPages(base, auth, FIRST_ROWS + ROWS);
}

interface Run {
  rate: number;
  /** Microseconds a request. */
  cpu: number;
}

/** Each takes its turn in each round. */
function compare(
  cases: { name: string; url: string; pid: number; headers: Record<string, string> }[],
): Map<string, Run[]> {
  const runs = new Map(cases.map(({ name }) => [name, [] as Run[]]));
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const { name, url, headers, pid } of cases) {
      // Whoever has waited for its turn is out of the processor's caches, and new connections cost more than what is compared.
      load(url, headers, round < 0 ? 4 * SECONDS : 1);
      const before = ticksOf(pid);
      const { rate, requests } = load(url, headers, SECONDS);
      const cpu = ((ticksOf(pid) - before) * 10_000) / requests;
      // The first round only warms up the compiler.
      if (round >= 0) runs.get(name)?.push({ rate, cpu });
    }
  }
  for (const [name, all] of runs) {
    const rate = Math.round(median(all.map((run) => run.rate)));
    const cpu = median(all.map((run) => run.cpu)).toFixed(1);
    console.log(`${name}: ${rate} requests/s, ${cpu} us of processor time`);
  }
  return runs;
}

/** Pages that nobody asked for before, at the beginning, in the middle and near the end: CPU time of the whole process. */
async function coldPages(base: string, auth: Record<string, string>, count: number): Promise<void> {
  const first = await fetchBytes(`${base}${objects}?limit=1`, auth);
  const start = first.headers['x-taxii-date-added-first'] as string;
  // Dates are dense: a position is found by walking manifests in the largest steps.
  const dates = [start];
  let next = '';
  while (true) {
    const page = await fetchBytes(`${base}/api/taxii2/api/collections/all/manifest/?limit=5000${next}`, auth);
    dates.push(page.headers['x-taxii-date-added-last'] as string);
    const token = JSON.parse(page.body.toString()).next;
    if (token === undefined) break;
    next = `&next=${token}`;
  }
  const agent = new Agent({ keepAlive: true });
  // Each date is another page: nothing that is kept answers it.
  const read = async (after: string, pages: number): Promise<number> => {
    const start = parseTimestamp(after) as number;
    const before = await cpuSeconds(base);
    for (let i = 0; i < pages; i += 1) {
      await fetchBytes(`${base}${objects}?limit=1000&added_after=${formatMicros(start + asked++)}`, auth, agent);
    }
    return ((await cpuSeconds(base)) - before) / pages;
  };
  await read(start, WARMING_PAGES);
  // The last step may hold hardly anything; what begins before the one before it has a whole page.
  const last = Math.max(0, dates.length - 3);
  const costs = [0, Math.floor(last / 2), last].map(() => [] as number[]);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [i, at] of [0, Math.floor(last / 2), last].entries()) {
      costs[i]?.push(await read(dates[at] as string, COLD_PAGES));
    }
  }
  agent.destroy();
  for (const [i, name] of ['first', 'middle', 'deep'].entries()) {
    const ms = Math.min(...(costs[i] ?? [])) * 1000;
    console.log(`cold page of 1000 among ${count} objects, ${name}: ${ms.toFixed(2)} ms of processor time (target 2)`);
  }
}

async function whileRowsComeIn(url: string, headers: Record<string, string>, start: () => ChildProcess): Promise<void> {
  const idle = median(Array.from({ length: ROUNDS }, () => load(url, headers, SECONDS).late));
  const poll = start();
  const said: Buffer[] = [];
  poll.stdout?.on('data', (part: Buffer) => said.push(part));
  const ended = once(poll, 'exit');
  const late: number[] = [];
  const begun = performance.now();
  while (poll.exitCode === null) {
    late.push(load(url, headers, SECONDS).late);
    await new Promise(setImmediate);
  }
  await ended;
  const seconds = (performance.now() - begun) / 1000;
  const busy = median(late);
  const { accepted } = JSON.parse(Buffer.concat(said).toString());
  console.log(`${accepted} rows came in within ${seconds.toFixed(0)} s of reading on all connections`);
  console.log(
    `p99 of cached pages: idle ${idle.toFixed(1)} ms, while rows come in ${busy.toFixed(1)} ms: ${(busy / idle).toFixed(1)}x (target 2.5)`,
  );
}

/** wrk on one thread. `rate` in requests a second, `late` the 99th percentile in milliseconds. */
function load(url: string, headers: Record<string, string>, seconds: number) {
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--latency', ...fields, url];
  const text = execFileSync('wrk', args, { encoding: 'utf8' });
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`wrk met errors:\n${text}`);
  const [, late = '0', unit = 'ms'] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  const scale = { us: 0.001, ms: 1, s: 1000 }[unit] ?? 1;
  const numberOf = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  return {
    rate: numberOf(/Requests\/sec:\s+([\d.]+)/),
    requests: numberOf(/(\d+) requests in/),
    late: Number(late) * scale,
  };
}

async function rival(starting: Promise<Rival>): Promise<{ base: string; pid: number }> {
  const { base, child } = await starting;
  children.push(child);
  return { base, pid: child.pid as number };
}

async function cpuSeconds(base: string): Promise<number> {
  const { body } = await fetchBytes(`${base}/metrics`, {});
  return Number(/^process_cpu_seconds_total ([\d.e-]+)/m.exec(body.toString())?.[1]);
}

/** On a connection of its own: one that was kept would have been closed while `load` held up this process. */
async function fetchBytes(url: string, headers: Record<string, string>, agent: Agent | false = false) {
  const [reply] = (await once(httpGet(url, { headers, agent }), 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of reply) parts.push(part);
  if (reply.statusCode !== 200) throw new Error(`${reply.statusCode} for ${url}`);
  return { headers: reply.headers, body: Buffer.concat(parts) };
}

/** One STIX indicator a line, with what feeds usually say. */
async function writeRows(path: string, from: number, count: number): Promise<void> {
  // Of today: what is old would be taken in and expire at once.
  const now = new Date().toISOString();
  const file = createWriteStream(path);
  for (let i = from; i < from + count; i += 1) {
    const row = {
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
      created: now,
      modified: now,
      valid_from: now,
      name: `Malicious host ${i}`,
      description: `Seen in campaign ${i % 97}, delivered by loader ${i % 31}`,
      labels: ['malicious-activity', `family-${i % 53}`],
      confidence: 30 + (i % 70),
      pattern_type: 'stix',
      pattern: `[domain-name:value = 'h${i.toString(36)}-${(i * 7919) % 99991}.example']`,
    };
    if (!file.write(`${JSON.stringify(row)}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

// slow (31 s): gateways in processes of their own are killed in every step
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { connectControl } from '../../src/control/socket.ts';
import { socketPathOf } from '../../src/control/socket-path.ts';
import { MICROS_PER_SECOND, systemClock } from '../../src/model/clock.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { storeIn } from '../helpers/store.ts';
import { startUpstream, UPSTREAM_KEY, type UpstreamRow } from '../helpers/upstream.ts';

/**
 * The whole gateway as a process of its own, killed without a goodbye while it takes in 50,000 rows. Where it dies is drawn
 * from a seed, which is printed; CRASH_SEED repeats a run.
 */
const SEED = Number(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const UPSTREAM_ROWS = 20_000;
const FILE_ROWS = 30_000;
/** Rows of a file that the other feed says as well, so that two feeds make one indicator. */
const SHARED = 2000;
const LATE_ROWS = 100;

t.setTimeout(900_000);

const launcher = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url));

/** mulberry32. */
function randomFrom(seed: number): (most: number) => number {
  let state = seed >>> 0;
  return (most) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * most);
  };
}

const hostOf = (n: number): string => `host-${n}.example`;
const patternOf = (value: string): string => `[domain-name:value = '${value}']`;

function rowOf(n: number): UpstreamRow {
  const updated = systemClock.now() - (n % 72_000) * MICROS_PER_SECOND;
  return { updated, row: { type: 'domain', value: hostOf(n), confidence: 'high', source: { feed_name: 'URLhaus' } } };
}

function writeFile(dir: string, name: string, from: number, count: number): void {
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--00000000-0000-4000-8000-${String(from + i).padStart(12, '0')}`,
      created: '2026-01-01T00:00:00.000Z',
      modified: '2026-01-01T00:00:00.000Z',
      valid_from: '2026-01-01T00:00:00.000Z',
      pattern_type: 'stix',
      pattern: patternOf(hostOf(from + i)),
    }),
  );
  writeFileSync(join(dir, `${name}.part`), `${lines.join('\n')}\n`);
  renameSync(join(dir, `${name}.part`), join(dir, name));
}

interface Running {
  child: ChildProcess;
  /** Null when it ended before it listened. */
  base: string | null;
}

async function start(dir: string, errors: string[]): Promise<Running & { listening: Promise<string | null> }> {
  const child = spawn(process.execPath, [launcher, 'serve', '--config', join(dir, 'sluice.yaml')], {
    env: { ...process.env, SOC_KEY: UPSTREAM_KEY },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  const running: Running = { child, base: null };
  const listening = (async () => {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      running.base ??= /Sluice is listening on (\S+)/.exec(line)?.[1] ?? null;
      // The request to paste is the last thing that a start says.
      if (line.includes('curl')) break;
    }
    child.stdout?.resume();
    return running.base;
  })();
  return Object.assign(running, { listening });
}

async function kill({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

interface Page {
  objects: Record<string, any>[];
  next?: string;
  first: string | null;
  last: string | null;
}

async function readPage(base: string, key: string, query: string, resource = 'objects'): Promise<Page> {
  const reply = await fetch(`${base}/api/taxii2/api/collections/all/${resource}/?${query}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  if (reply.status !== 200) throw new Error(`${reply.status} ${await reply.text()}`);
  return {
    ...((await reply.json()) as Pick<Page, 'objects' | 'next'>),
    first: reply.headers.get('x-taxii-date-added-first'),
    last: reply.headers.get('x-taxii-date-added-last'),
  };
}

async function readFrom(base: string, key: string, token: string | undefined, resource?: string): Promise<Page[]> {
  const pages: Page[] = [];
  let next = token === undefined ? '' : `&next=${token}`;
  for (;;) {
    const page = await readPage(base, key, `limit=5000${next}`, resource);
    pages.push(page);
    if (page.next === undefined) return pages;
    next = `&next=${page.next}`;
  }
}

/** What a store holds that nobody has open. */
async function countLive(data: string): Promise<number> {
  const reader = await storeIn(data).openReader();
  const { domain = 0 } = await reader.countLive('pool:main');
  await reader.close();
  return domain;
}

/** What a reader holds that took these objects in this order: the last version of each id, without what was revoked. */
function heldAfter(objects: Record<string, any>[]): Map<string, string> {
  const held = new Map<string, string>();
  for (const { id, type, pattern, revoked } of objects) {
    if (type !== 'indicator') continue;
    if (revoked === true) held.delete(id);
    else held.set(id, pattern);
  }
  return held;
}

t.test(
  `killed while it takes in 50,000 rows, it loses none and repeats none (CRASH_SEED=${SEED})`,
  { timeout: 300_000 },
  async (t: Test) => {
    const random = randomFrom(SEED);
    const dir = t.testdir({ drop: {} });
    const data = join(dir, 'data');
    const drop = join(dir, 'drop');
    const upstream = await startUpstream(t, { rows: Array.from({ length: UPSTREAM_ROWS }, (_, n) => rowOf(n)) });
    writeFile(drop, 'a.ndjson', UPSTREAM_ROWS - SHARED, FILE_ROWS);
    let values = UPSTREAM_ROWS - SHARED + FILE_ROWS;
    writeFileSync(
      join(dir, 'sluice.yaml'),
      `
data: ./data
listen: { host: 127.0.0.1, port: 0 }
feeds:
  soc: { preset: socdefenders, plan: pro, url: "${upstream.url}", internal: true, key: { env: SOC_KEY }, page_size: 400, per_minute: 100000 }
  drop: { format: stix, path: ./drop, every: 1m, confidence: 50 }
pools: { main: { feeds: [soc, drop], profile: elastic-agent, tlp: amber } }
collections: { all: { pool: main } }
log: { level: error }
`,
    );
    const errors: string[] = [];
    let running: (Running & { listening: Promise<string | null> }) | null = null;
    t.teardown(async () => {
      if (running !== null) await kill(running);
    });
    const keyFile = join(data, 'initial.key');

    /** Kills at the n-th request from now or, should that never come, after a time; a little later than that. */
    const die = async (process: Running, requests: number, later: number): Promise<void> => {
      const asked = Promise.withResolvers<void>();
      let left = requests;
      upstream.onRequest = () => {
        left -= 1;
        if (left === 0) asked.resolve();
      };
      await Promise.race([asked.promise, wait(8000)]);
      await wait(later);
      await kill(process);
      upstream.onRequest = null;
    };

    running = await start(dir, errors);
    const base = await running.listening;
    if (base === null) throw new Error(`it never listened: ${errors.join('')}`);
    const key = readFileSync(keyFile, 'utf8').trim();
    let taken = await readPage(base, key, 'limit=50');
    while (taken.next === undefined) {
      await wait(20);
      taken = await readPage(base, key, 'limit=50');
    }
    const deaths = [
      { requests: 1 + random(20), later: random(300) },
      // While it starts: before or after it holds the lock, has a socket, is listening.
      { requests: Number.NaN, later: 100 + random(900) },
      { requests: 1 + random(40), later: random(300) },
      { requests: 20 + random(40), later: random(1000) },
    ];
    let committed = 0;
    for (const [n, { requests, later }] of deaths.entries()) {
      if (n > 0) running = await start(dir, errors);
      if (Number.isNaN(requests)) {
        await wait(later);
        await kill(running);
      } else await die(running, requests, later);
      if (n === 0) t.ok(existsSync(socketPathOf(data)), 'a killed server leaves its socket behind');
      const kept = await countLive(data);
      t.comment(`death ${n + 1} at ${kept} of ${values}`);
      t.ok(kept >= committed && kept <= values, 'what was committed before is there');
      if (n === 0) t.ok(kept < values, 'it died in the middle');
      committed = kept;
      // The upstreams go on while nobody reads them.
      upstream.rows.push(
        ...Array.from({ length: LATE_ROWS }, (_, i) => ({ ...rowOf(values + i), updated: systemClock.now() })),
      );
      writeFile(drop, `late-${n}.ndjson`, values + LATE_ROWS, LATE_ROWS);
      values += 2 * LATE_ROWS;
    }

    running = await start(dir, errors);
    const now = await running.listening;
    if (now === null) throw new Error(`it didn't start again: ${errors.join('')}`);
    t.equal(readFileSync(keyFile, 'utf8').trim(), key, 'the same client reads');
    const control = await connectControl(socketPathOf(data));
    if (control === null) throw new Error('nobody listens at the socket');
    t.match(await control.poll('soc'), { outcome: 'whole', error: null });
    t.match(await control.poll('drop'), { error: null });
    t.match(await control.poll('soc'), { outcome: 'whole', entries: 0 }, 'a poll of what is unchanged adds no entry');
    t.match(await control.poll('drop'), { outcome: 'unchanged', entries: 0 });
    const status = await control.status();
    await control.close();

    const wanted = Array.from({ length: values }, (_, n) => patternOf(hostOf(n))).sort();
    const objects = (await readFrom(now, key, undefined)).flatMap((page) => page.objects);
    const held = heldAfter(objects);
    t.equal(held.size, values, `${values} distinct values upstream are so many live indicators`);
    t.strictSame([...held.values()].sort(), wanted, 'each value once');
    const rows = await readFrom(now, key, undefined, 'manifest');
    const dates = rows.flatMap((page) => page.objects.map((record) => record['date_added'] as string));
    t.equal(dates.length, objects.length);
    t.equal(
      dates.findIndex((date, i) => i > 0 && date <= (dates[i - 1] as string)),
      -1,
      'date_added rises strictly from the first entry to the last',
    );
    t.ok((dates.at(-1) as string) <= formatMillis(systemClock.now() + MICROS_PER_SECOND), 'and never into the future');

    const walked = await readFrom(now, key, taken.next);
    t.ok((walked[0]?.first ?? '') > (taken.last ?? ''), 'the old cursor goes on behind its page');
    const since = heldAfter([...taken.objects, ...walked.flatMap((page) => page.objects)]);
    t.strictSame([...since].sort(), [...held].sort(), 'to the end, with all that is live and nothing else');
    const { live } = status.collections[0] ?? { live: {} };
    t.strictSame(live, { domain: values }, 'and the status says the same');
    t.equal(errors.join(''), '', 'nothing went wrong that nobody waited for');
  },
);

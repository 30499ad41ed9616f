import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';

/** What a piece of work cost this process. */
export interface Cost {
  /** Seconds on the clock, and on the processor with all threads of the process. */
  wall: number;
  cpu: number;
}

export async function measure(work: () => Promise<unknown> | unknown): Promise<Cost> {
  const started = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 };
}

/** Peak resident memory of this process in MB. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS / 1024;
}

/** Runs a benchmark's file again as a process of its own, with `task`, and answers the one message that it sends. */
export async function inProcess<Result>(file: string, task: unknown, execArgv: string[]): Promise<Result> {
  const child = fork(file, ['--task', JSON.stringify(task)], { execArgv, stdio: 'inherit' });
  const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(() => [null])])) as [
    Result | null,
  ];
  if (message === null) throw new Error(`the process of ${JSON.stringify(task)} ended without a result`);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return message;
}

/** What `inProcess` gave this process to do; null in the process that was started by hand. */
export function givenTask<Task>(): Task | null {
  const at = process.argv.indexOf('--task');
  return at < 0 ? null : (JSON.parse(process.argv[at + 1] as string) as Task);
}

/** A directory for the length of the benchmark. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const remove = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  return { path, remove };
}

/** Rates of noisy machines: the middle one of several runs. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

const PROJECT = new URL('..', import.meta.url).href;

export interface Profile {
  /** Time in and below these functions, each sample counted for the outermost; the rest is "other". */
  steps: Share[];
  /** Time in each function itself. Natives have no file, so whoever calls them is named. */
  selves: Share[];
}

export interface Share {
  name: string;
  percent: number;
}

/** Samples where `work` spends its time. `steps` names functions, as `name file`. */
export async function profiled(steps: readonly string[], work: () => Promise<unknown>): Promise<Profile> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const callers = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const nameOf = (id: number): string => {
    const { functionName = '', url = '', lineNumber = 0 } = frames.get(id) ?? {};
    if (url.startsWith(PROJECT)) return `${functionName || `line ${lineNumber + 1}`} ${url.slice(PROJECT.length)}`;
    const caller = callers.get(id);
    if (url === '' && !functionName.startsWith('(') && caller !== undefined)
      return `${functionName} < ${nameOf(caller)}`;
    return `${functionName} ${url}`.trim();
  };
  const stepOf = (id: number | undefined): string | null => {
    if (id === undefined) return null;
    const name = nameOf(id);
    return stepOf(callers.get(id)) ?? steps.find((step) => name.startsWith(step)) ?? null;
  };
  const tallies = { steps: new Map<string, number>(), selves: new Map<string, number>() };
  const add = (tally: Map<string, number>, name: string, took: number) =>
    tally.set(name, (tally.get(name) ?? 0) + took);
  for (const [at, id] of (profile.samples ?? []).entries()) {
    if (frames.get(id)?.functionName === '(idle)') continue;
    const took = profile.timeDeltas?.[at] ?? 0;
    add(tallies.selves, nameOf(id), took);
    const isCollector = frames.get(id)?.functionName === '(garbage collector)';
    add(tallies.steps, isCollector ? 'garbage collector' : (stepOf(id) ?? 'other'), took);
  }
  return { steps: sharesOf(tallies.steps), selves: sharesOf(tallies.selves) };
}

function sharesOf(tally: Map<string, number>): Share[] {
  const total = [...tally.values()].reduce((sum, took) => sum + took, 0);
  return [...tally]
    .map(([name, took]) => ({ name, percent: (100 * took) / total }))
    .sort((a, b) => b.percent - a.percent);
}

/** Of short times: what other processes take away only ever adds. */
export function lowerQuartile(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 4)] ?? Number.NaN;
}

/** The machine in one line: a rate means nothing without it. */
export function machine(): string {
  const [first] = cpus();
  const governor = readOr('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor');
  const load = loadavg()[0]?.toFixed(2);
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  return `${cpus().length} x ${first?.model ?? 'unknown'}${governor}, ${memory}, load ${load}, Node ${process.version}, SQLite ${process.versions['sqlite']}`;
}

/**
 * Keeps the processors from sleeping as long as this process lives, as one does for measuring latencies (Linux, PM QoS). A server
 * that is slower than the load generator pays for waking it after each answer, one that is faster does not: in a virtual machine
 * that is 10 us, as much as the answer itself. Says in a line what holds.
 */
export function keepAwake(): string {
  try {
    writeSync(openSync('/dev/cpu_dma_latency', 'w'), new Int32Array([0]));
    return 'processors are kept awake';
  } catch {
    return 'processors may sleep (no right to write to /dev/cpu_dma_latency): ratios of what is slower come out lower';
  }
}

function readOr(file: string): string {
  try {
    return ` (${readFileSync(file, 'utf8').trim()})`;
  } catch {
    return '';
  }
}

/** A rate, as tables show it. */
export function thousands(rate: number): string {
  return `${(rate / 1000).toFixed(1)}k`;
}

/** Columns as wide as what they hold; the first to the left, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const texts = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join('  ');
  for (const [i, row] of texts.entries()) {
    console.log(line(row));
    if (i === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  }
}

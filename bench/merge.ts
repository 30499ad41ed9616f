import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/model/clock.ts';
import { openBackend } from '../src/writer/backend.ts';
import { loadYaml } from '../test/helpers/config.ts';
import { overlappingValues } from '../test/helpers/overlap.ts';
import { givenTask, inProcess, machine, measure, peakMemory, printTable, temporaryDirectory } from './measure.ts';

/**
 * Ten feeds that share 30 % of what they say, merged into a pool and a collection with a policy of its own: all of it new, again with
 * 1 % changed, and again as it was. The writing side as `serve` has it, in a process with the memory of its writing thread.
 *
 *   node bench/merge.ts [ROWS]
 */
const FEEDS = 10;
const CHANGED = 0.01;

interface Task {
  path: string;
  rows: number;
}

interface Result {
  lines: { name: string; wall: number; cpu: number; entries: number }[];
  memory: number;
}

/** As src/writer/start-worker.ts limits the writing thread. */
const MEMORY = ['--max-old-space-size=256', '--max-semi-space-size=8'];

const task = givenTask<Task>();
if (task === null) await compare();
else process.send?.(await run(task));

async function compare(): Promise<void> {
  const [rows = 1_000_000] = process.argv.slice(2).map(Number);
  const { path } = temporaryDirectory();
  const { lines, memory } = await inProcess<Result>(
    fileURLToPath(import.meta.url),
    { path, rows } satisfies Task,
    MEMORY,
  );
  const [fresh] = lines;
  console.log(`${machine()}\n${rows} observations of ${FEEDS} feeds\n`);
  printTable(
    ['', 'observations/CPU s', 'CPU s', 'of new', 'entries'],
    lines.map(({ name, cpu, entries }) => [
      name,
      `${(rows / cpu / 1000).toFixed(1)}k`,
      cpu.toFixed(1),
      (cpu / (fresh?.cpu ?? cpu)).toFixed(3),
      entries,
    ]),
  );
  console.log(`\npeak ${memory.toFixed(0)} MB`);
}

async function run({ path, rows }: Task): Promise<Result> {
  const names = Array.from({ length: FEEDS }, (_, n) => `feed-${n}`);
  const write = async (changed: number): Promise<void> => {
    for (const [n, name] of names.entries()) {
      mkdirSync(join(path, name), { recursive: true });
      const lines = Readable.from(overlappingValues(rows, FEEDS, n, changed)).map((value) => `${value}\n`);
      await pipeline(lines, createWriteStream(join(path, name, 'list.txt')));
    }
  };
  const yaml = `
feeds:
${names.map((name) => `  ${name}: { format: text, path: ./${name}, every: 1d, confidence: 70 }`).join('\n')}
pools: { main: { feeds: [${names.join(', ')}] } }
collections:
  all: { pool: main }
  agreed: { pool: main, sources: 2, min_confidence: 75 }
`;
  const { config } = loadYaml(path, yaml);
  const backend = await openBackend(config, { clock: systemClock, onClients: () => undefined, onError: console.error });
  await backend.reconcile();
  const lines: Result['lines'] = [];
  const pollAll = async (name: string): Promise<void> => {
    let entries = 0;
    const cost = await measure(async () => {
      for (const feed of names) {
        const report = await backend.poll(feed);
        if (report.error !== null) throw new Error(report.error.message);
        entries += report.entries;
      }
    });
    lines.push({ name, ...cost, entries });
  };
  await write(0);
  await pollAll('new');
  await write(CHANGED);
  await pollAll('1 % changed');
  // Another time of the file, the same content: the hash of the body tells.
  await write(CHANGED);
  await pollAll('unchanged');
  await backend.close();
  return { lines, memory: peakMemory() };
}

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { machine, printTable, temporaryDirectory, thousands } from './measure.ts';
import { documents, writeDocuments } from './rows.ts';
import { memoryOf, startGateway, ticksOf } from './server.ts';

/**
 * What a whole `serve`, built, needs to take in a long table, a list and a JSON document of the same rows: its memory, and rows
 * a second from the file to the commit. Each format has a server and a store of its own, one after the other.
 *
 *   npm run build && node bench/feeds.ts [ROWS] [FORMAT ...]
 */
const [rows = 1_000_000] = process.argv.slice(2).map(Number);
const names = (Object.keys(documents) as (keyof typeof documents)[]).filter(
  (name) => process.argv.length < 4 || process.argv.includes(name),
);

const program = fileURLToPath(new URL('../dist/src/main.js', import.meta.url));
if (!existsSync(program)) throw new Error('nothing is built: npm run build');

const { path } = temporaryDirectory();
writeDocuments(path, rows);
console.log(`${machine()}\n${rows} rows\n`);
const lines: (string | number)[][] = [];
for (const name of names) lines.push(await taken(name));
printTable(['', 'rows/s', 'rows/CPU s', 'MB read', 'idle MB', 'peak after a fifth', 'peak MB'], lines);

async function taken(name: keyof typeof documents): Promise<(string | number)[]> {
  const { file, options } = documents[name];
  const base = join(path, name);
  const drop = join(base, 'drop');
  mkdirSync(drop, { recursive: true });
  const config = join(base, 'sluice.yaml');
  const feed = JSON.stringify({ format: name, path: './drop', every: '30d', ...options });
  writeFileSync(
    config,
    `listen: { port: 0 }
log: { level: error }
feeds: { it: ${feed} }
pools: { main: { feeds: [it] } }
collections: { all: { pool: main } }
`,
  );
  const { pid, child } = await startGateway(program, config);
  try {
    const command = (...args: string[]) => [program, ...args, '--config', config, '--json'];
    execFileSync(process.execPath, command('poll', 'it'));
    await copyFile(join(path, file), join(drop, file));
    const idle = memoryOf(pid).peak;
    const before = { wall: performance.now(), ticks: ticksOf(pid) };
    const poll = spawn(process.execPath, command('poll', 'it'), { stdio: ['ignore', 'pipe', 'inherit'] });
    let answer = '';
    poll.stdout.on('data', (part) => {
      answer += part;
    });
    const ended = once(poll, 'exit');
    const peaks: number[] = [];
    const samples = setInterval(() => peaks.push(memoryOf(pid).peak), 200);
    await ended;
    clearInterval(samples);
    const seconds = (performance.now() - before.wall) / 1000;
    const cpu = (ticksOf(pid) - before.ticks) / 100;
    const { accepted, entries } = JSON.parse(answer);
    if (accepted !== rows || entries !== rows) throw new Error(`${name}: ${answer}`);
    // Whether memory grows with the feed shows in what it was early on.
    const early = peaks[Math.floor(peaks.length / 5)] ?? Number.NaN;
    const size = statSync(join(path, file)).size / 2 ** 20;
    const megabytes = [size, idle, early, memoryOf(pid).peak].map(Math.round);
    return [name, thousands(rows / seconds), thousands(rows / cpu), ...megabytes];
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  }
}

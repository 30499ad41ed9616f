import { hash } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { type Input, openBench } from './gateway.ts';
import {
  type Cost,
  givenTask,
  inProcess,
  machine,
  measure,
  median,
  type Profile,
  peakMemory,
  printTable,
  profiled,
  temporaryDirectory,
  thousands,
} from './measure.ts';
import { writeAnswers, writeBundle } from './rows.ts';

/**
 * New rows through the whole path (parse, normalise, observe, merge, journal entry, commit), and an unchanged re-poll, beside
 * what this machine can do at most: the same rows parsed and put into one table. Each case is a process of its own, with the
 * memory that `serve` gives its writing thread; the cases alternate, round by round.
 */
interface Task {
  case: 'table' | 'poll';
  input: Input;
  directory: string;
  profile: boolean;
}

interface Result {
  fresh: Cost;
  again: Cost | null;
  memory: number;
  profile: Profile | null;
}

/** As src/writer/start-worker.ts limits the writing thread. */
const MEMORY = ['--max-old-space-size=256', '--max-semi-space-size=8'];
const HOTTEST = 40;
/** The path, function by function. */
const STEPS = [
  'read bench/gateway.ts',
  'inBatches src/feeds/reading/batches.ts',
  'readObjects src/feeds/stix.ts',
  'buffersOf src/feeds/reading/unpack.ts',
  'readJsonDocument src/feeds/reading/json-document.ts',
  'readJsonTexts src/feeds/reading/json-document.ts',
  'readJsonStream src/feeds/reading/json-stream.ts',
  'normaliseBatch src/ingest/batch.ts',
  'combineVersions src/ingest/stix-versions.ts',
  'combineRows src/ingest/combine.ts',
  'observe src/store/sqlite/observations.ts',
  'observations src/store/sqlite/observations.ts',
  'liveEntries src/store/sqlite/entries.ts',
  'decide src/publish/indicators.ts',
  'issue src/publish/issue.ts',
  'append src/store/sqlite/entries.ts',
  'exec <',
];

const task = givenTask<Task>();
if (task === null) await compare();
else process.send?.(task.case === 'table' ? await fillTable(task) : await pollTwice(task));

async function compare(): Promise<void> {
  const [rows = 100_000, rounds = 3] = process.argv
    .slice(2)
    .filter((arg) => !arg.startsWith('-'))
    .map(Number);
  const profile = process.argv.includes('--profile');
  const { path } = temporaryDirectory();
  const answersFile = join(path, 'answers');
  const answers: Input = { kind: 'rows', file: answersFile, ends: writeAnswers(answersFile, rows) };
  const bundle: Input = { kind: 'stix', file: join(path, 'bundle.json') };
  writeBundle(bundle.file, rows);
  console.log(`${machine()}\n${rows} rows, ${rounds} rounds\n`);

  const results = new Map<string, Result[]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, what, input] of [
      ['one table', 'table', answers],
      ['rows', 'poll', answers],
      ['STIX', 'poll', bundle],
    ] as const) {
      const directory = join(path, `${name} ${round}`);
      const given: Task = { case: what, input, directory, profile: profile && round === 0 };
      const result = await inProcess<Result>(fileURLToPath(import.meta.url), given, MEMORY);
      results.set(name, [...(results.get(name) ?? []), result]);
    }
  }
  report(rows, results);
}

function report(rows: number, results: Map<string, Result[]>): void {
  const rateOf = (costs: (Cost | null)[], by: keyof Cost): number =>
    median(costs.flatMap((cost) => (cost === null ? [] : [rows / cost[by]])));
  const ceiling = rateOf(
    (results.get('one table') ?? []).map(({ fresh }) => fresh),
    'wall',
  );
  const lines = [...results].flatMap(([name, runs]) => {
    const fresh = runs.map((run) => run.fresh);
    const again = runs.map((run) => run.again);
    const memory = Math.round(median(runs.map((run) => run.memory)));
    const line = (what: string, costs: (Cost | null)[], base: number) => {
      const wall = rateOf(costs, 'wall');
      return [what, thousands(wall), thousands(rateOf(costs, 'cpu')), (wall / base).toFixed(2), memory];
    };
    const lines = [line(`${name}: new`, fresh, ceiling)];
    if (again[0] !== null) lines.push(line(`${name}: unchanged re-poll (ratio to new)`, again, rateOf(fresh, 'wall')));
    return lines;
  });
  printTable(['', 'rows/s', 'rows/CPU s', 'ratio', 'peak MB'], lines);
  for (const [name, [first]] of results) {
    if (first === undefined || first.profile === null) continue;
    const { steps, selves } = first.profile;
    for (const [title, shares] of [
      ['by step', steps],
      ['in functions themselves', selves.slice(0, HOTTEST)],
    ] as const) {
      console.log(`\n${name}, new: time ${title}`);
      for (const { name, percent } of shares) console.log(`${percent.toFixed(1).padStart(5)}%  ${name}`);
    }
  }
}

async function pollTwice({ input, directory, profile }: Task): Promise<Result> {
  const bench = await openBench(directory, 'elastic-agent');
  let found: Profile | null = null;
  const fresh = await measure(async () => {
    if (profile) found = await profiled(STEPS, () => bench.poll(input));
    else await bench.poll(input);
  });
  const again = await measure(async () => {
    const { entries } = await bench.poll(input);
    if (entries !== 0) throw new Error(`an unchanged re-poll made ${entries} entries`);
  });
  await bench.close();
  return { fresh, again, memory: peakMemory(), profile: found };
}

/** The ceiling: JSON parsed, one hash a row, one narrow table with a random index, commits of the same size. */
async function fillTable({ input, directory }: Task): Promise<Result> {
  if (input.kind !== 'rows') throw new Error('the table takes rows');
  const db = new DatabaseSync(`${directory}.db`);
  db.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536');
  db.exec('PRAGMA wal_autocheckpoint = 16000; CREATE TABLE t (id INTEGER PRIMARY KEY, key BLOB, text TEXT) STRICT');
  db.exec('CREATE INDEX t_by_key ON t (key)');
  const insert = db.prepare('INSERT INTO t (key, text) VALUES (unhex(?), ?)');
  const descriptor = openSync(input.file, 'r');
  const fresh = await measure(() => {
    let start = 0;
    for (const [page, end] of input.ends.entries()) {
      if (page % 20 === 0) db.exec('BEGIN');
      const buffer = Buffer.allocUnsafe(end - start);
      readSync(descriptor, buffer, 0, end - start, start);
      start = end;
      for (const row of (JSON.parse(buffer.toString()) as { data: { value: string }[] }).data) {
        const text = JSON.stringify(row);
        insert.run(hash('sha1', row.value, 'hex').slice(0, 32), text);
      }
      if (page % 20 === 19 || page === input.ends.length - 1) db.exec('COMMIT');
    }
  });
  db.close();
  return { fresh, again: null, memory: peakMemory(), profile: null };
}

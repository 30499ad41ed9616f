import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse';
import { Value } from 'typebox/value';
import type { FeedFormat } from '../src/feeds/feed.ts';
import { feedFormats } from '../src/feeds/registry.ts';
import {
  type Cost,
  givenTask,
  inProcess,
  machine,
  measure,
  median,
  peakMemory,
  printTable,
  temporaryDirectory,
  thousands,
} from './measure.ts';
import { documents, writeDocuments } from './rows.ts';

/**
 * What it costs to read a table, a list and a JSON document of the same rows by their formats, up to the batches that a poll
 * takes, and beside the table bare csv-parse. Each case is a process of its own, with the memory that `serve` gives its writing
 * thread; the cases alternate, round by round.
 */
interface Case {
  name: string;
  /** In feedFormats; null: csv-parse alone. */
  format: 'csv' | 'text' | 'json' | null;
  file: string;
  options: object;
}

interface Task extends Case {
  path: string;
  rows: number;
}

interface Result {
  cost: Cost;
  memory: number;
}

/** As src/writer/start-worker.ts limits the writing thread. */
const MEMORY = ['--max-old-space-size=256', '--max-semi-space-size=8'];

const cases: Case[] = [
  { name: 'csv-parse alone', format: null, file: documents.csv.file, options: {} },
  ...(['csv', 'text', 'json'] as const).map((format) => ({ name: format, format, ...documents[format] })),
];

const task = givenTask<Task>();
if (task === null) await compare();
else process.send?.(await run(task));

async function compare(): Promise<void> {
  const [rows = 1_000_000, rounds = 3] = process.argv.slice(2).map(Number);
  const { path } = temporaryDirectory();
  writeDocuments(path, rows);
  console.log(`${machine()}\n${rows} rows, ${rounds} rounds\n`);
  const results = new Map<string, Result[]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const one of cases) {
      const given: Task = { ...one, path, rows };
      const result = await inProcess<Result>(fileURLToPath(import.meta.url), given, MEMORY);
      results.set(one.name, [...(results.get(one.name) ?? []), result]);
    }
  }
  const rateOf = (name: string, by: keyof Cost): number =>
    median((results.get(name) ?? []).map(({ cost }) => rows / cost[by]));
  printTable(
    ['', 'MB', 'rows/s', 'rows/CPU s', 'ratio by CPU', 'peak MB'],
    cases.map(({ name, file }) => [
      name,
      Math.round(statSync(join(path, file)).size / 2 ** 20),
      thousands(rateOf(name, 'wall')),
      thousands(rateOf(name, 'cpu')),
      (rateOf(name, 'cpu') / rateOf('csv-parse alone', 'cpu')).toFixed(2),
      Math.round(Math.max(...(results.get(name) ?? []).map(({ memory }) => memory))),
    ]),
  );
}

async function run({ format, path, file, options, rows }: Task): Promise<Result> {
  const body = createReadStream(join(path, file));
  let found = 0;
  const cost = await measure(async () => {
    if (format === null) {
      // The header is a record of it too.
      for await (const _ of body.pipe(parse())) found += 1;
      found -= 1;
    } else found = await readAll(feedFormats[format], { path: file, ...options }, body);
  });
  if (found !== rows) throw new Error(`${found} of ${rows} rows`);
  return { cost, memory: peakMemory() };
}

async function readAll(format: FeedFormat, given: object, body: AsyncIterable<Uint8Array>): Promise<number> {
  const options = Value.Default(format.options, given);
  format.defaults(options);
  let found = 0;
  const batches = format.read({
    options,
    cursor: null,
    now: () => 0,
    fetch: async () => null,
    files: async () => [{ name: 'rows', size: 0, fault: null, body }],
    contributed: async () => null,
    signal: new AbortController().signal,
  });
  for await (const { items } of batches) found += items.length;
  return found;
}

import { writeSync } from 'node:fs';
import { MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import type { Observation } from '../../src/model/observation.ts';
import type { Transaction } from '../../src/store/store.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { appendEntries, indicatorEntry, observation, START, storeIn } from '../helpers/store.ts';

/** What sqlite.test.ts has a child process ingest and kills it at: deterministic, so the rest can be counted. */
export const BATCHES = 8;
export const ROWS = 800;
/** Steps of one batch; the process may die before each of them. */
export const STEPS = 6;

export function rowsOf(batch: number): Observation[] {
  return Array.from({ length: ROWS }, (_, i) => observation({ value: `r${batch * ROWS + i}.example` }));
}

/** One batch as the poll commits it: rows, entries, the entries they replace, bookmark. `at` is told each step. */
export async function ingestBatch(
  tx: Transaction,
  pull: Parameters<Transaction['observe']>[0],
  batch: number,
  at: (step: number) => void = () => {},
): Promise<void> {
  at(0);
  const changed = (await tx.observe(pull, rowsOf(batch))).changed;
  at(1);
  const said = await tx.observations(['house'], changed);
  const live = await tx.liveEntries('pool:main', changed);
  const replaces = new Map<string, Micros>(live.map((entry) => [entry.key, entry.dateAdded]));
  at(2);
  await appendEntries(
    tx,
    'pool:main',
    said.map(({ key, observable: { type, value } }) => indicatorEntry({ key, type, value })),
    said.map(({ key }) => replaces.get(key) ?? null),
  );
  at(3);
  await tx.saveFeedState('house', { cursor: String(batch + 1) });
  at(4);
}

/** Ingests into `location` and kills itself, without any goodbye, before step `fatal`; writes each batch that is committed. */
async function ingest(location: string, fatal: number): Promise<void> {
  const clock = scriptedClock(START);
  const writer = await storeIn(location).openWriter(clock);
  await writer.transaction((tx) => tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' }));
  const pull = await writer.beginPull('house');
  for (let batch = 0; batch < BATCHES; batch += 1) {
    clock.set(START + batch * MICROS_PER_SECOND);
    const at = (step: number) => {
      if (batch * STEPS + step === fatal) process.kill(process.pid, 'SIGKILL');
    };
    await writer.transaction((tx) => ingestBatch(tx, pull, batch, at));
    at(5);
    writeSync(1, `${batch + 1}\n`);
  }
}

const [location, fatal] = process.argv.slice(2);
if (import.meta.main && location !== undefined) await ingest(location, Number(fatal));

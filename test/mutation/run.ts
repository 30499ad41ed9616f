import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Mutant, runStryker } from './stryker.ts';
import { placeOf, type Unit, unitsOf } from './units.ts';

/**
 * Mutation tests: `npm run test:mutation -- --room publish --mutants 80 --seed 1 --minutes 60`. Goes over a sample of the
 * functions of four rooms, in batches, until it has so many mutants of each room, and keeps each batch's results in
 * `.cache/mutation/results.json`: a run that is repeated goes on where it ended, and tries again only what was changed since.
 */
interface Room {
  /** What tests this room itself, cheap ones first. */
  near: string[];
  /** What uses it: only what survives the others meets these. */
  wide: string[];
}

const rooms: Record<string, Room> = {
  publish: {
    near: ['merge', 'issue', 'expand', 'relations'].map((name) => `test/publish/${name}.test.ts`),
    wide: ['test/publish/journals.test.ts', 'test/publish/tlp.test.ts', 'test/ingest/supersede.test.ts'],
  },
  normalise: {
    near: ['canonical', 'property', 'details'].map((name) => `test/normalise/${name}.test.ts`),
    wide: ['test/normalise/normalise.test.ts'],
  },
  ingest: {
    near: ['combine', 'schedule', 'versions'].map((name) => `test/ingest/${name}.test.ts`),
    wide: ['outage', 'supersede', 'poll'].map((name) => `test/ingest/${name}.test.ts`),
  },
  store: {
    near: ['test/store/alike.test.ts', 'test/store/store.test.ts'],
    wide: ['test/store/walk.test.ts', 'test/store/sqlite.test.ts'],
  },
};

/** Functions of one Stryker run, which is kept when it ends; each run begins with all near test files once. */
const BATCH = 6;
const results = fileURLToPath(new URL('../../.cache/mutation/results.json', import.meta.url));

interface Result {
  digest: string;
  mutants: Mutant[];
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    mutants: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: '1' },
    room: { type: 'string', multiple: true, default: Object.keys(rooms) },
  },
});

const known = readResults();
const until = Date.now() + Number(values.minutes) * 60_000;
/** Functions whose run went wrong: the next start tries them again. */
const failed = new Set<string>();
let open = values.room;
while (Date.now() < until && open.length > 0) {
  open = open.filter((room) => nextBatch(room).length > 0);
  for (const room of open) {
    const batch = nextBatch(room);
    if (Date.now() >= until) break;
    try {
      keep(batch, await tryBatch(room, batch));
    } catch (error) {
      for (const unit of batch) failed.add(keyOf(unit));
      console.error(`left for the next start: ${batch.map(keyOf).join(', ')}`, error);
    }
    printScores();
  }
}
printScores();
printSurvivors();

/** A room's functions in an order of the seed's: so many of them as have the mutants that are asked for. */
function sampleOf(room: string): Unit[] {
  const seed = Number(values.seed);
  const units = globSync(`src/${room}/**/*.ts`)
    .flatMap(unitsOf)
    .sort((a, b) => placeOf(a, seed) - placeOf(b, seed));
  let mutants = 0;
  const end = units.findIndex((unit) => {
    const isEnough = mutants >= Number(values.mutants);
    mutants += resultOf(unit)?.mutants.filter(isValid).length ?? 0;
    return isEnough;
  });
  return end < 0 ? units : units.slice(0, end);
}

/** The first of a room's sample that were not tried as they are now. */
function nextBatch(room: string): Unit[] {
  return sampleOf(room)
    .filter((unit) => resultOf(unit) === null && !failed.has(keyOf(unit)))
    .slice(0, BATCH);
}

function resultOf(unit: Unit): Result | null {
  const result = known[keyOf(unit)];
  return result?.digest === unit.digest ? result : null;
}

async function tryBatch(room: string, batch: Unit[]): Promise<Mutant[]> {
  const { near, wide } = rooms[room] as Room;
  const first = await runStryker(
    batch.map(({ range }) => range),
    near,
  );
  const survivors = first.filter(isAlive);
  if (survivors.length === 0) return first;
  const ranges = survivors.map(({ file, start, end }) => `${file}:${zeroBased(start)}-${zeroBased(end)}`);
  const second = new Map((await runStryker([...new Set(ranges)], wide)).map((mutant) => [identity(mutant), mutant]));
  return first.map((mutant) => (isAlive(mutant) ? (second.get(identity(mutant)) ?? mutant) : mutant));
}

/** Stryker reports columns from 1 and takes them from 0. */
function zeroBased(position: string): string {
  const [line, column] = position.split(':').map(Number);
  return `${line}:${(column ?? 1) - 1}`;
}

function keep(batch: Unit[], mutants: Mutant[]): void {
  for (const unit of batch) {
    known[keyOf(unit)] = { digest: unit.digest, mutants: mutants.filter((mutant) => isWithin(mutant, unit)) };
  }
  mkdirSync(dirname(results), { recursive: true });
  writeFileSync(results, JSON.stringify(known, null, 1));
}

function printScores(): void {
  const rows = values.room.map((room) => {
    const valid = triedOf(room).filter(isValid);
    const alive = valid.filter(isAlive).length;
    const score = valid.length === 0 ? null : Math.round((1000 * (valid.length - alive)) / valid.length) / 10;
    return { room, mutants: valid.length, killed: valid.length - alive, alive, score };
  });
  console.table(rows);
}

function printSurvivors(): void {
  for (const { file, start, mutator, replacement, status } of values.room.flatMap(triedOf).filter(isAlive)) {
    console.log(`${file}:${start} ${mutator} ${status} -> ${replacement.replace(/\s+/g, ' ').slice(0, 160)}`);
  }
}

/** The mutants of a room's sample, as far as it was tried. */
function triedOf(room: string): Mutant[] {
  return sampleOf(room).flatMap((unit) => resultOf(unit)?.mutants ?? []);
}

function isValid({ status }: Mutant): boolean {
  return !['CompileError', 'RuntimeError', 'Ignored'].includes(status);
}

function isAlive({ status }: Mutant): boolean {
  return status === 'Survived' || status === 'NoCoverage';
}

function isWithin(mutant: Mutant, { file, range }: Unit): boolean {
  const [from, to] = range
    .slice(file.length + 1)
    .split('-')
    .map((position) => Number(position.split(':')[0]));
  const line = Number(mutant.start.split(':')[0]);
  return mutant.file === file && from !== undefined && to !== undefined && line >= from && line <= to;
}

function identity({ file, start, end, mutator, replacement }: Mutant): string {
  return [file, start, end, mutator, replacement].join(' ');
}

function keyOf({ file, name }: Unit): string {
  return `${file} ${name}`;
}

function readResults(): Record<string, Result> {
  try {
    return JSON.parse(readFileSync(results, 'utf8'));
  } catch {
    return {};
  }
}

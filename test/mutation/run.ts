import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Mutant, runStryker } from './stryker.ts';
import { placeOf, type Unit, unitsOf } from './units.ts';

/**
 * Mutation tests: `npm run test:mutation -- --minutes 60 --share 0.1 --seed 1 --room publish`. Goes over a sample of the functions
 * of four rooms, in batches, and keeps each batch's results in `.cache/mutation/results.json`: a run that is repeated goes on
 * where it ended, and tries again only what was changed since.
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
    near: ['test/normalise/canonical.test.ts'],
    wide: ['test/normalise/normalise.test.ts'],
  },
  ingest: {
    near: ['combine', 'schedule', 'versions'].map((name) => `test/ingest/${name}.test.ts`),
    wide: ['outage', 'supersede', 'poll'].map((name) => `test/ingest/${name}.test.ts`),
  },
  store: {
    near: ['test/store/store.test.ts'],
    wide: ['test/store/walk.test.ts', 'test/store/sqlite.test.ts'],
  },
};

/** Functions of one Stryker run, which is kept when it ends; each run begins with all near test files once. */
const BATCH = 3;
const results = fileURLToPath(new URL('../../.cache/mutation/results.json', import.meta.url));

interface Result {
  digest: string;
  mutants: Mutant[];
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    share: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    room: { type: 'string', multiple: true, default: Object.keys(rooms) },
  },
});

const known = readResults();
const until = Date.now() + Number(values.minutes) * 60_000;
const open = Object.fromEntries(values.room.map((room) => [room, unitsToTry(room)]));
while (Date.now() < until && Object.values(open).some(({ length }) => length > 0)) {
  for (const [room, units] of Object.entries(open)) {
    const batch = units.splice(0, BATCH);
    if (batch.length === 0 || Date.now() >= until) continue;
    try {
      keep(batch, await tryBatch(room, batch));
    } catch (error) {
      console.error(`left for the next run: ${batch.map(keyOf).join(', ')}`, error);
    }
    printScores();
  }
}
printSurvivors();

/** The sample of a room without what is known, in an order of the seed's. */
function unitsToTry(room: string): Unit[] {
  const seed = Number(values.seed);
  return globSync(`src/${room}/**/*.ts`)
    .flatMap(unitsOf)
    .filter((unit) => placeOf(unit, seed) < Number(values.share) && known[keyOf(unit)]?.digest !== unit.digest)
    .sort((a, b) => placeOf(a, seed) - placeOf(b, seed));
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
  const rows = Object.keys(rooms).map((room) => {
    const mutants = Object.entries(known).flatMap(([key, { mutants }]) =>
      key.startsWith(join('src', room, '/')) ? mutants : [],
    );
    const valid = mutants.filter(({ status }) => !['CompileError', 'RuntimeError', 'Ignored'].includes(status));
    const alive = valid.filter(isAlive).length;
    const score = valid.length === 0 ? null : Math.round((1000 * (valid.length - alive)) / valid.length) / 10;
    return { room, mutants: valid.length, killed: valid.length - alive, alive, score };
  });
  console.table(rows);
}

function printSurvivors(): void {
  for (const { mutants } of Object.values(known)) {
    for (const { file, start, mutator, replacement, status } of mutants.filter(isAlive)) {
      console.log(`${file}:${start} ${mutator} ${status} -> ${replacement.replace(/\s+/g, ' ').slice(0, 160)}`);
    }
  }
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

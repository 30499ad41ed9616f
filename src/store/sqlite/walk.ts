import type { Micros } from '../../model/clock.ts';
import type { Connection } from './connection.ts';
import { findJournal, type JournalRow } from './journals.ts';
import { segmentAfter, segmentBefore } from './segments.ts';
import { type Judged, mayPassOver, selectCount, type Wanted } from './selection.ts';
import { readStanding, type Standing } from './standing.ts';

/**
 * A read in steps of some milliseconds, however much it passes over. Between two of them it yields how far it has come, and what
 * follows may see the store as a later commit left it.
 */
export type Walk<T> = Generator<Micros, T, undefined>;

/** Most rows that a step reads: a page of the standard size is one step. */
export const STEP_ROWS = 2000;
/** Most segments that a step passes through where its index tells what an entry is: 32,768 entries. */
export const STEP_SEGMENTS = 8;
/** Most entries that a step looks at where each is judged by others. */
export const STEP_ENTRIES = 512;

/** All of a walk at once, for who sees one state of the store throughout. */
export function drain<T>(walk: Walk<T>): T {
  for (;;) {
    const step = walk.next();
    if (step.done) return step.value;
  }
}

/** How many rows were read, and the date of the last. */
export interface Found {
  count: number;
  last: Micros | null;
}

/**
 * Reads what is wanted of a journal. `want` says what that is as the journal stands at each step, `read` reads one stretch of it.
 * Answers how many rows there were.
 */
export function* walk(
  connection: Connection,
  name: string,
  want: (journal: JournalRow, standing: Standing[]) => Wanted,
  read: (stretch: Wanted) => Found,
): Walk<number> {
  let at: Micros | null = null;
  let count = 0;
  let passed = 0;
  for (;;) {
    const journal = findJournal(connection, name);
    if (journal === undefined) return count;
    const whole = want(journal, readStanding(connection, journal.id));
    const { newestFirst, limit } = whole;
    const rest: Wanted = { ...whole, offset: whole.offset - passed, limit: limit - count, ...from(whole, at) };
    const judged = mayPassOver(rest, STEP_ROWS);
    const edge = judged === null ? null : edgeOf(connection, rest, judged);
    const stretch: Wanted = { ...upTo(rest, edge), limit: Math.min(rest.limit, STEP_ROWS) };
    const inside = edge === null ? rest.offset : countWithin(connection, stretch, rest.offset);
    passed += inside;
    if (inside === rest.offset) {
      const found = read(stretch);
      count += found.count;
      if (count >= limit) return count;
      if (found.count < stretch.limit && edge === null) return count;
      at = found.count < stretch.limit ? positionAt(edge, newestFirst) : found.last;
    } else at = positionAt(edge, newestFirst);
    yield at ?? 0;
  }
}

/** Counts what is wanted, up to its limit; no row is read. */
export function* walkCount(
  connection: Connection,
  name: string,
  want: (journal: JournalRow, standing: Standing[]) => Wanted,
): Walk<number> {
  let at: Micros | null = null;
  let count = 0;
  for (;;) {
    const journal = findJournal(connection, name);
    if (journal === undefined) return count;
    const whole = want(journal, readStanding(connection, journal.id));
    const rest = { ...whole, ...from(whole, at) };
    const edge = edgeOf(connection, rest, 'index');
    count += countWithin(connection, upTo(rest, edge), whole.limit - count);
    if (count >= whole.limit || edge === null) return count;
    at = positionAt(edge, whole.newestFirst);
    yield at ?? 0;
  }
}

/** Where a walk has come to that was through with a stretch: positions are passed, edges belong to the next stretch or to this one. */
function positionAt(edge: Micros | null, newestFirst: boolean): Micros | null {
  return edge === null || newestFirst ? edge : edge - 1;
}

/** Where a walk goes on that has come to `at`. */
function from({ newestFirst }: Wanted, at: Micros | null): Partial<Wanted> {
  if (at === null) return {};
  return newestFirst ? { before: at } : { after: at };
}

/**
 * The end of a stretch of as many entries as may be judged in a step: the date of the first behind it, or of its oldest where the
 * newest comes first. Null: one stretch is all that is left.
 */
function edgeOf(connection: Connection, wanted: Wanted, judged: Judged): Micros | null {
  const { journal, after, before, newestFirst } = wanted;
  const edge =
    judged === 'others'
      ? entryFrom(connection, wanted, STEP_ENTRIES)
      : newestFirst
        ? segmentBefore(connection, journal.id, before, STEP_SEGMENTS)
        : segmentAfter(connection, journal.id, after, STEP_SEGMENTS);
  if (edge === null) return null;
  return newestFirst ? (edge > after + 1 ? edge : null) : edge < (before ?? edge + 1) ? edge : null;
}

/** Date of the entry behind the next `passed` ones. */
function entryFrom(
  connection: Connection,
  { journal, after, before, newestFirst }: Wanted,
  passed: number,
): Micros | null {
  const sql = `SELECT date_added FROM entries INDEXED BY entries_by_date
    WHERE journal = ? AND date_added > ? AND date_added < ? ORDER BY date_added ${newestFirst ? 'DESC' : 'ASC'}
    LIMIT 1 OFFSET ?`;
  return connection.get<[Micros]>(sql, journal.id, after, before ?? Number.MAX_SAFE_INTEGER, passed)?.[0] ?? null;
}

function upTo(wanted: Wanted, edge: Micros | null): Wanted {
  if (edge === null) return wanted;
  return wanted.newestFirst ? { ...wanted, after: edge - 1 } : { ...wanted, before: edge };
}

/** How many there are in a stretch, `most` at most: counted on the narrow index, in no order. */
function countWithin(connection: Connection, stretch: Wanted, most: number): number {
  if (most === 0) return 0;
  const selection = selectCount({ ...stretch, offset: 0, limit: most });
  return selection === null ? 0 : (connection.allNamed<[number]>(selection.sql, selection.values)[0]?.[0] ?? 0);
}

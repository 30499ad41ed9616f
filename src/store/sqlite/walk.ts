import type { Micros } from '../../model/clock.ts';
import type { Connection } from './connection.ts';
import { findJournal, type JournalRow } from './journals.ts';
import { segmentAfter, segmentBefore } from './segments.ts';
import { type CheckedBy, checkOf, type EntryQuery, selectCount } from './selection.ts';
import { readTypeCounts, type TypeCount } from './type-counts.ts';

/**
 * A read in steps of some milliseconds each, however many entries it passes over. After each step it yields the date that it has
 * come to. A later step may see a later commit.
 */
export type Walk<T> = Generator<Micros, T, undefined>;

/** Most rows that a step reads: a page of the standard size is one step. */
export const STEP_ROWS = 2000;
/** Most segments of a step in which entries are checked by the index alone: 32,768 entries. */
export const STEP_SEGMENTS = 8;
/** Most entries of a step in which other entries of the object are read for each. */
export const STEP_ENTRIES = 512;

/** Runs a walk to its end at once, for callers inside one snapshot of the store. */
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
 * Reads the entries of a journal that match a query, stretch by stretch. `want` makes the query anew at each step, from the journal as
 * it is then; `read` reads one stretch. Returns the number of rows.
 */
export function* walk(
  connection: Connection,
  name: string,
  want: (journal: JournalRow, typeCounts: TypeCount[]) => EntryQuery,
  read: (stretch: EntryQuery) => Found,
): Walk<number> {
  let at: Micros | null = null;
  let count = 0;
  let passed = 0;
  for (;;) {
    const journal = findJournal(connection, name);
    if (journal === undefined) return count;
    const whole = want(journal, readTypeCounts(connection, journal.id));
    const { newestFirst, limit } = whole;
    const rest: EntryQuery = { ...whole, offset: whole.offset - passed, limit: limit - count, ...from(whole, at) };
    const checkedBy = checkOf(rest, STEP_ROWS);
    const edge = checkedBy === null ? null : edgeOf(connection, rest, checkedBy);
    const stretch: EntryQuery = { ...upTo(rest, edge), limit: Math.min(rest.limit, STEP_ROWS) };
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

/** Counts the entries that match, up to the limit of the query. Reads no rows. */
export function* walkCount(
  connection: Connection,
  name: string,
  want: (journal: JournalRow, typeCounts: TypeCount[]) => EntryQuery,
): Walk<number> {
  let at: Micros | null = null;
  let count = 0;
  for (;;) {
    const journal = findJournal(connection, name);
    if (journal === undefined) return count;
    const whole = want(journal, readTypeCounts(connection, journal.id));
    const rest = { ...whole, ...from(whole, at) };
    const edge = edgeOf(connection, rest, 'index');
    count += countWithin(connection, upTo(rest, edge), whole.limit - count);
    if (count >= whole.limit || edge === null) return count;
    at = positionAt(edge, whole.newestFirst);
    yield at ?? 0;
  }
}

/** The position behind a whole stretch. An edge is the first date of the next stretch, or the last of this one with newest first. */
function positionAt(edge: Micros | null, newestFirst: boolean): Micros | null {
  return edge === null || newestFirst ? edge : edge - 1;
}

/** Narrows a query to what comes behind the position `at`. */
function from({ newestFirst }: EntryQuery, at: Micros | null): Partial<EntryQuery> {
  if (at === null) return {};
  return newestFirst ? { before: at } : { after: at };
}

/**
 * The end of the longest stretch that one step may check: the date of the first entry behind it, or with newest first the date of its
 * oldest. Null: the rest is one stretch.
 */
function edgeOf(connection: Connection, wanted: EntryQuery, checkedBy: CheckedBy): Micros | null {
  const { journal, after, before, newestFirst } = wanted;
  const edge =
    checkedBy === 'others'
      ? entryFrom(connection, wanted, STEP_ENTRIES)
      : newestFirst
        ? segmentBefore(connection, journal.id, before, STEP_SEGMENTS)
        : segmentAfter(connection, journal.id, after, STEP_SEGMENTS);
  if (edge === null) return null;
  return newestFirst ? (edge > after + 1 ? edge : null) : edge < (before ?? edge + 1) ? edge : null;
}

/** The date of the entry behind the next `passed` ones. */
function entryFrom(
  connection: Connection,
  { journal, after, before, newestFirst }: EntryQuery,
  passed: number,
): Micros | null {
  const sql = `SELECT date_added FROM entries INDEXED BY entries_by_date
    WHERE journal = ? AND date_added > ? AND date_added < ? ORDER BY date_added ${newestFirst ? 'DESC' : 'ASC'}
    LIMIT 1 OFFSET ?`;
  return connection.get<[Micros]>(sql, journal.id, after, before ?? Number.MAX_SAFE_INTEGER, passed)?.[0] ?? null;
}

function upTo(wanted: EntryQuery, edge: Micros | null): EntryQuery {
  if (edge === null) return wanted;
  return wanted.newestFirst ? { ...wanted, after: edge - 1 } : { ...wanted, before: edge };
}

/** Counts the matching entries of a stretch, up to `most`, on the narrow index. */
function countWithin(connection: Connection, stretch: EntryQuery, most: number): number {
  if (most === 0) return 0;
  const selection = selectCount({ ...stretch, offset: 0, limit: most });
  return selection === null ? 0 : (connection.allNamed<[number]>(selection.sql, selection.values)[0]?.[0] ?? 0);
}

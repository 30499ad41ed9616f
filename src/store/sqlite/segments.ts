import type { Micros } from '../../model/clock.ts';
import type { Connection } from './connection.ts';

/** Entries appended to a segment before the next one starts (performance.md: one counter per stretch of a journal). */
export const SEGMENT_ENTRIES = 4096;

/** Counts appended entries, dates ascending: a segment begins at the date of its first. */
export function countAppended(connection: Connection, journal: number, dates: readonly Micros[]): void {
  const open = connection.get<[number, number]>(
    'SELECT first_date, entries FROM segments WHERE journal = ? ORDER BY first_date DESC LIMIT 1',
    journal,
  );
  let taken = 0;
  if (open !== undefined && open[1] < SEGMENT_ENTRIES) {
    taken = Math.min(SEGMENT_ENTRIES - open[1], dates.length);
    connection.run(
      'UPDATE segments SET entries = entries + ? WHERE journal = ? AND first_date = ?',
      taken,
      journal,
      open[0],
    );
  }
  for (let first = dates[taken]; first !== undefined; first = dates[taken]) {
    const entries = Math.min(SEGMENT_ENTRIES, dates.length - taken);
    connection.run('INSERT INTO segments VALUES (?, ?, ?, 0)', journal, first, entries);
    taken += entries;
  }
}

/** Counts a change for each of these dates in the segment that it lies in. */
export function countChanges(connection: Connection, journal: number, dates: readonly Micros[]): void {
  if (dates.length === 0) return;
  connection.run(
    `UPDATE segments SET changes = changes + c.n FROM (
       SELECT (SELECT max(s.first_date) FROM segments s WHERE s.journal = ?1 AND s.first_date <= d.value) AS first_date,
         count(*) AS n
       FROM json_each(?2) d GROUP BY 1) c
     WHERE segments.journal = ?1 AND segments.first_date = c.first_date`,
    journal,
    JSON.stringify(dates),
  );
}

/** Changes in all segments that reach into (after, until]; `until` null: to the journal's end. */
export function changesWithin(connection: Connection, journal: number, after: Micros, until: Micros | null): number {
  const [changes] = connection.get<[number]>(
    `SELECT coalesce(sum(changes), 0) FROM segments WHERE journal = ?1 AND first_date <= ?3 AND first_date >=
       coalesce((SELECT max(first_date) FROM segments WHERE journal = ?1 AND first_date <= ?2), 0)`,
    journal,
    after,
    until ?? Number.MAX_SAFE_INTEGER,
  ) ?? [0];
  return changes;
}

/** Where the `nth` segment behind `after` begins; null when there are fewer. */
export function segmentAfter(connection: Connection, journal: number, after: Micros, nth: number): Micros | null {
  const sql =
    'SELECT first_date FROM segments WHERE journal = ? AND first_date > ? ORDER BY first_date LIMIT 1 OFFSET ?';
  return connection.get<[Micros]>(sql, journal, after, nth - 1)?.[0] ?? null;
}

/** Where the `nth` segment that begins before `before` begins, counted backwards; null when there are fewer. */
export function segmentBefore(
  connection: Connection,
  journal: number,
  before: Micros | null,
  nth: number,
): Micros | null {
  const sql = `SELECT first_date FROM segments WHERE journal = ? AND first_date < ?
    ORDER BY first_date DESC LIMIT 1 OFFSET ?`;
  return connection.get<[Micros]>(sql, journal, before ?? Number.MAX_SAFE_INTEGER, nth - 1)?.[0] ?? null;
}

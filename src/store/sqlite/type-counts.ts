import { NO_OBSERVABLE, observableOfCode } from './codes.ts';
import type { Connection } from './connection.ts';
import type { EntryType } from './entry-rows.ts';

/** The number of entries of one type and state in a journal: the length of a stretch of `entries_by_type`. */
export interface TypeCount extends EntryType {
  superseded: boolean;
  revoked: boolean;
  entries: number;
}

/** Counts the entries of a journal by type and state; a count of 0 is left out. */
export function readTypeCounts(connection: Connection, journal: number): TypeCount[] {
  const rows = connection.all<[number, string, number, number, number, number, number]>(
    `SELECT t.code, t.stix_type, t.observable, t.company, s.superseded, s.revoked, s.entries
     FROM standing s CROSS JOIN entry_types t ON t.code = s.type WHERE s.journal = ? AND s.entries > 0`,
    journal,
  );
  return rows.map(([code, stixType, observable, isProducerObject, superseded, revoked, entries]) => ({
    code,
    stixType,
    observable: observable === NO_OBSERVABLE ? null : observableOfCode(observable),
    isProducerObject: isProducerObject === 1,
    superseded: superseded === 1,
    revoked: revoked === 1,
    entries,
  }));
}

export function isLive({ observable, superseded, revoked }: TypeCount): boolean {
  return observable !== null && !superseded && !revoked;
}

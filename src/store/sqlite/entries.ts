import type { Micros } from '../../model/clock.ts';
import type { Entry } from '../../model/entry.ts';
import { misuse, requireLimit } from '../misuse.ts';
import type { AppendEntry, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import { type CitedChanges, cite, citeSources } from './cited.ts';
import { NO_OBSERVABLE, observableCodes } from './codes.ts';
import type { Connection } from './connection.ts';
import { Changes, CITED, STANDING } from './counts.ts';
import { type EntryRow, entryFromRow, entryValues, INSERT_ENTRY, TAKE_ENTRY } from './entry-rows.ts';
import { findJournal, type JournalRow, type Reservations, requireJournal } from './journals.ts';
import { markedUuid } from './object-id.ts';
import { entriesOnKeys } from './pages.ts';
import { countAppended, countChanges } from './segments.ts';
import { readTypeCounts } from './type-counts.ts';

type Entries = Pick<Transaction, 'append' | 'liveEntries' | 'liveKeys' | 'setDue' | 'dueEntries' | 'nextDue' | 'purge'>;

/** By how much the counts of a journal's entries change in a call. */
interface Tally {
  typeCounts: Changes<[type: number, superseded: number, revoked: number]>;
  cited: CitedChanges;
}

function newTally(): Tally {
  return { typeCounts: new Changes(), cited: new Changes() };
}

/** What the writer does with a journal's entries. */
export function writeEntries(connection: Connection, reservations: Reservations): Sync<Entries> {
  return {
    append(name, appended) {
      const head = appended.at(-1)?.entry.dateAdded;
      if (head === undefined) return;
      const journal = requireJournal(connection, name);
      requireStamped(journal, appended, reservations.get(journal.id));
      const tally = newTally();
      const dates = insertEntries(connection, journal, appended, tally);
      countAppended(connection, journal.id, dates);
      connection.run('UPDATE journals SET head = ? WHERE id = ?', head, journal.id);
      const replaced = appended.flatMap(({ replaces }) => (replaces === null ? [] : [replaces]));
      supersede(connection, journal, replaced, tally);
      saveTally(connection, journal.id, tally);
      if (journal.keepVersions === 'all') countKin(connection, journal.id, dates);
    },

    liveEntries(name, keys) {
      const journal = findJournal(connection, name);
      if (journal === undefined) return [];
      return entriesOnKeys(connection, journal, readTypeCounts(connection, journal.id), keys, 'AND e.revoked = 0');
    },

    liveKeys(name, after, limit) {
      const rows = connection.all<[string]>(
        `SELECT lower(hex(e.key)) FROM entries e INDEXED BY entries_by_key
         WHERE e.journal = ? AND e.key > unhex(?) AND e.superseded = 0 AND e.revoked = 0
         GROUP BY e.key ORDER BY e.key LIMIT ?`,
        findJournal(connection, name)?.id ?? null,
        after ?? '',
        requireLimit(limit),
      );
      return rows.map(([key]) => key);
    },

    setDue(name, dues) {
      const { id } = requireJournal(connection, name);
      for (const { dateAdded, due } of dues) {
        connection.run('UPDATE entries SET due = ? WHERE journal = ? AND date_added = ?', due, id, dateAdded);
      }
    },

    dueEntries(name, now, limit) {
      const journal = findJournal(connection, name);
      if (journal === undefined) return [];
      const types = new Map(readTypeCounts(connection, journal.id).map((type) => [type.code, type]));
      const entries: Entry[] = [];
      connection.each<EntryRow>(
        `SELECT ${TAKE_ENTRY} FROM entries e INDEXED BY entries_by_due
         WHERE e.journal = ? AND e.due IS NOT NULL AND e.due <= ? ORDER BY e.due, e.id LIMIT ?`,
        [journal.id, now, requireLimit(limit)],
        (row) => entries.push(entryFromRow(row, types)),
      );
      return entries;
    },

    nextDue() {
      const [due] = connection.get<[Micros | null]>(
        `SELECT min(due) FROM (SELECT (SELECT min(e.due) FROM entries e INDEXED BY entries_by_due
           WHERE e.journal = j.id AND e.due IS NOT NULL) AS due FROM journals j)`,
      ) ?? [null];
      return due;
    },

    purge(name, dates) {
      const journal = requireJournal(connection, name);
      if (journal.keepVersions === 'all') countKin(connection, journal.id, dates);
      const tally = newTally();
      countChanges(connection, journal.id, removeEntries(connection, journal.id, dates, tally));
      saveTally(connection, journal.id, tally);
    },
  };
}

function requireStamped(journal: JournalRow, appended: readonly AppendEntry[], reservedFrom: Micros | undefined): void {
  let last = Math.max(journal.head ?? 0, (reservedFrom ?? Number.MAX_SAFE_INTEGER) - 1);
  for (const { entry } of appended) {
    if (entry.dateAdded <= last || entry.dateAdded > journal.stamped) {
      throw misuse(`entries of "${journal.name}" must be appended in order, at dates stamped in the same transaction`);
    }
    last = entry.dateAdded;
  }
}

function insertEntries(
  connection: Connection,
  journal: JournalRow,
  appended: readonly AppendEntry[],
  tally: Tally,
): Micros[] {
  const codes: Codes = new Map();
  const insert = connection.statement(INSERT_ENTRY);
  return appended.map(({ entry }) => {
    const { objectId } = entry;
    const at = objectId.indexOf('--');
    if (at < 1) throw misuse(`"${objectId}" is no object id`);
    const code = codeOf(connection, codes, entry, objectId.slice(0, at));
    insert.run(...entryValues(journal.id, code, markedUuid(objectId, at + 2), entry));
    tally.typeCounts.add([code, entry.superseded ? 1 : 0, entry.kind === 'indicator' && entry.revoked ? 1 : 0], 1);
    cite(tally.cited, entry);
    return entry.dateAdded;
  });
}

/** Codes of `entry_types` that one call has met, by the columns that name them. */
type Codes = Map<string, number>;

/** Returns the code of an entry's type, made when it is the first of its kind. */
function codeOf(connection: Connection, known: Codes, entry: Entry, stixType: string): number {
  const observable = entry.kind === 'indicator' ? observableCodes[entry.type] : NO_OBSERVABLE;
  if (observable === undefined) throw misuse(`"${entry.kind === 'indicator' ? entry.type : ''}" is no observable type`);
  if (entry.kind === 'object' && entry.stixType !== stixType) {
    throw misuse(`object ${entry.objectId} cannot be of type "${entry.stixType}"`);
  }
  const isProducerObject = entry.kind === 'object' && entry.isProducerObject ? 1 : 0;
  const name = `${stixType} ${observable} ${isProducerObject}`;
  const before = known.get(name);
  if (before !== undefined) return before;
  const code = openCode(connection, stixType, observable, isProducerObject);
  known.set(name, code);
  return code;
}

function openCode(connection: Connection, ...type: [stixType: string, observable: number, company: number]): number {
  connection.run(
    'INSERT INTO entry_types (stix_type, observable, company) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    ...type,
  );
  const sql = 'SELECT code FROM entry_types WHERE stix_type = ? AND observable = ? AND company = ?';
  return connection.one<[number]>(sql, ...type)[0];
}

/** Drops or marks what has a successor now. Throws when one of them doesn't stand: two last versions would remain. */
function supersede(connection: Connection, journal: JournalRow, dates: readonly Micros[], tally: Tally): void {
  if (dates.length === 0) return;
  const done =
    journal.keepVersions === 'last'
      ? removeEntries(connection, journal.id, dates, tally)
      : markSuperseded(connection, journal.id, dates, tally);
  if (done.length !== dates.length) throw misuse(`an entry of "${journal.name}" that is to be replaced is not there`);
  countChanges(connection, journal.id, done);
}

/** What a row of `entries` is about. */
const OBSERVABLE = '(SELECT t.observable FROM entry_types t WHERE t.code = entries.type)';

function removeEntries(connection: Connection, journal: number, dates: readonly Micros[], tally: Tally): Micros[] {
  const rows = connection.all<[Micros, number, number, number, string | null, number]>(
    `DELETE FROM entries WHERE journal = ? AND date_added IN (SELECT value FROM json_each(?))
     RETURNING date_added, type, superseded, revoked, iif(superseded = 0 AND revoked = 0, sources, NULL), ${OBSERVABLE}`,
    journal,
    JSON.stringify(dates),
  );
  for (const [, type, superseded, revoked, sources, observable] of rows) {
    tally.typeCounts.add([type, superseded, revoked], -1);
    if (sources !== null) citeSources(tally.cited, sources, observable, -1);
  }
  return rows.map(([date]) => date);
}

/** What is superseded needs no second look, so its due time goes as well. */
function markSuperseded(connection: Connection, journal: number, dates: readonly Micros[], tally: Tally): Micros[] {
  const rows = connection.all<[Micros, number, number, string | null, number]>(
    `UPDATE entries SET superseded = 1, due = NULL
     WHERE journal = ? AND date_added IN (SELECT value FROM json_each(?)) AND superseded = 0
     RETURNING date_added, type, revoked, iif(revoked = 0, sources, NULL), ${OBSERVABLE}`,
    journal,
    JSON.stringify(dates),
  );
  for (const [, type, revoked, sources, observable] of rows) {
    tally.typeCounts.add([type, 0, revoked], -1);
    tally.typeCounts.add([type, 1, revoked], 1);
    if (sources !== null) citeSources(tally.cited, sources, observable, -1);
  }
  return rows.map(([date]) => date);
}

/**
 * Where all versions are kept, an entry that comes or goes changes which of its object's others is the first: they count
 * as changed too.
 */
function countKin(connection: Connection, journal: number, dates: readonly Micros[]): void {
  const rows = connection.all<[Micros]>(
    `SELECT o.date_added FROM json_each(?2) d
     CROSS JOIN entries e ON e.journal = ?1 AND e.date_added = d.value
     CROSS JOIN entries o INDEXED BY entries_by_uuid ON o.journal = ?1 AND o.uuid = e.uuid AND o.date_added <> e.date_added`,
    journal,
    JSON.stringify(dates),
  );
  countChanges(
    connection,
    journal,
    rows.map(([date]) => date),
  );
}

function saveTally(connection: Connection, journal: number, { typeCounts, cited }: Tally): void {
  typeCounts.save(connection, STANDING, journal);
  cited.save(connection, CITED, journal);
}

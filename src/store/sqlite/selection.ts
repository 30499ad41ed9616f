import type { Micros } from '../../model/clock.ts';
import type { EntryFilter, VersionFilter } from '../store.ts';
import type { Connection, Named } from './connection.ts';
import type { JournalRow } from './journals.ts';
import { type EntryType, NO_OBSERVABLE, observableOfCode, splitObjectId, uuidFromWord } from './rows.ts';

/** Most arms of a UNION; SQLite takes 500 (https://sqlite.org/limits.html), and merging many is slower than skipping. */
const MAX_ARMS = 48;
/** So many excluded entries are skipped faster than a merge is set up. */
const FEW = 256;

/** An entry type with what stands of it in one journal. */
export interface Standing extends EntryType {
  entries: number;
  live: number;
}

/** Entry types of which the journal holds something. */
export function standingTypes(connection: Connection, journal: number): Standing[] {
  const rows = connection.all<[number, string, number, number, number, number]>(
    `SELECT t.code, t.stix_type, t.observable, t.company, j.entries, j.live
     FROM journal_types j CROSS JOIN entry_types t ON t.code = j.type WHERE j.journal = ? AND j.entries > 0`,
    journal,
  );
  return rows.map(([code, stixType, observable, company, entries, live]) => ({
    code,
    stixType,
    observable: observable === NO_OBSERVABLE ? null : observableOfCode(observable),
    company: company === 1,
    entries,
    live,
  }));
}

/** The types that a filter lets through: a view keeps the company, `match[type]` does not. */
export function admit(types: Standing[], filter: Pick<EntryFilter, 'observableTypes' | 'stixTypes'>): Standing[] {
  const { observableTypes, stixTypes } = filter;
  return types.filter(({ observable, stixType, company }) => {
    const inView = observableTypes === null || company || (observable !== null && observableTypes.includes(observable));
    return inView && (stixTypes === null || stixTypes.includes(stixType));
  });
}

/** A condition on `entries e`, with its named values; null: nothing satisfies it. */
export type Condition = { sql: string; values: Named } | null;

/** `match[version]` as a condition: the union of its parts. */
export function whereVersion(journal: JournalRow, versions: VersionFilter): Condition {
  // Where only last versions stand, each entry is the first and the last of its object.
  if (versions.all || (versions.first && journal.keepVersions === 'last')) return { sql: '1', values: {} };
  const parts: string[] = [];
  if (versions.last) parts.push('e.superseded = 0');
  if (versions.exact.length > 0) parts.push('e.version IN (SELECT value FROM json_each(:exact))');
  if (versions.first) {
    parts.push(`NOT EXISTS (SELECT 1 FROM entries o INDEXED BY entries_by_uuid
      WHERE o.journal = e.journal AND o.uuid = e.uuid AND (o.version, o.date_added) < (e.version, e.date_added)
      AND (SELECT stix_type FROM entry_types WHERE code = o.type) = (SELECT stix_type FROM entry_types WHERE code = e.type))`);
  }
  if (parts.length === 0) return null;
  return { sql: `(${parts.join(' OR ')})`, values: { exact: JSON.stringify(versions.exact) } };
}

export interface Wanted {
  journal: JournalRow;
  /** All that stand in the journal. */
  types: Standing[];
  admitted: Standing[];
  objectIds: readonly string[] | null;
  condition: Condition;
  /** Strictly after, strictly before. */
  after: Micros;
  before: Micros | null;
  newestFirst: boolean;
  limit: number;
  offset: number;
}

/** A query that answers `date_added` in order, and its named values. */
export interface Selection {
  sql: string;
  values: Named;
}

/**
 * Which entries are wanted, in order of date, read from an index that already has that order: a page behind the
 * millionth entry, or of a rare type, costs what the first page costs. Null when nothing can match.
 */
export function select(wanted: Wanted): Selection | null {
  const { journal, types, admitted, objectIds, condition, newestFirst } = wanted;
  if (admitted.length === 0 || condition === null || objectIds?.length === 0) return null;
  const range = 'e.journal = :journal AND e.date_added > :after AND e.date_added < :before';
  const order = `ORDER BY date_added ${newestFirst ? 'DESC' : 'ASC'} LIMIT :limit OFFSET :offset`;
  const values: Named = {
    ...condition.values,
    journal: journal.id,
    after: wanted.after,
    before: wanted.before ?? Number.MAX_SAFE_INTEGER,
    limit: wanted.limit,
    offset: wanted.offset,
  };
  const codes = JSON.stringify(admitted.map(({ code }) => code));
  const inCodes = 'e.type IN (SELECT value FROM json_each(:codes))';

  if (objectIds !== null) {
    const sql = `SELECT e.date_added AS date_added FROM json_each(:ids) i CROSS JOIN entries e INDEXED BY entries_by_uuid
      ON e.journal = :journal AND e.uuid = ${uuidFromWord('(i.value ->> 1)')}
      CROSS JOIN entry_types t ON t.code = e.type AND t.stix_type = i.value ->> 0
      WHERE ${range} AND ${inCodes} AND ${condition.sql} ${order}`;
    return { sql, values: { ...values, codes, ids: idPairs(objectIds) } };
  }

  const excluded = sumEntries(types) - sumEntries(admitted);
  if (excluded <= FEW || admitted.length > MAX_ARMS) {
    const typed = excluded === 0 ? '' : `AND ${inCodes}`;
    const sql = `SELECT e.date_added AS date_added FROM entries e WHERE ${range} ${typed} AND ${condition.sql} ${order}`;
    return { sql, values: { ...values, codes } };
  }

  const arms = admitted.map(({ code }, arm) => {
    values[`type${arm}`] = code;
    return `SELECT e.date_added AS date_added FROM entries e INDEXED BY entries_by_type
      WHERE e.type = :type${arm} AND ${range} AND ${condition.sql}`;
  });
  return { sql: `${arms.join(' UNION ALL ')} ${order}`, values };
}

function sumEntries(types: readonly Standing[]): number {
  return types.reduce((sum, { entries }) => sum + entries, 0);
}

/** Pairs of STIX type and word, each once; what has not the form of an id matches nothing. */
function idPairs(objectIds: readonly string[]): string {
  const pairs: [string, string][] = [];
  for (const id of new Set(objectIds)) {
    const parts = splitObjectId(id);
    if (parts !== undefined) pairs.push([parts.stixType, parts.word]);
  }
  return JSON.stringify(pairs);
}

import type { Micros } from '../../model/clock.ts';
import type { EntryFilter, VersionFilter } from '../../model/entry-filter.ts';
import type { LiveQuery } from '../store.ts';
import type { Connection, Named } from './connection.ts';
import type { JournalRow } from './journals.ts';
import { splitObjectId, uuidFromWord } from './object-id.ts';
import { SEGMENT_ENTRIES, segmentAfter, segmentBefore } from './segments.ts';
import { isLive, type TypeCount } from './type-counts.ts';

/** Most arms of a UNION; SQLite takes 500 (https://sqlite.org/limits.html), and merging many is slower than skipping. */
const MAX_ARMS = 48;
/** When a filter admits at least this share of a journal, reading all and skipping the rest is faster than looking up each type. */
const LARGE_SHARE = 0.25;

/** Which entries of a journal are wanted, and in which order. */
export interface EntryQuery {
  journal: JournalRow;
  /** Counts of all types and states of the journal, and of those that may match. */
  typeCounts: readonly TypeCount[];
  admitted: readonly TypeCount[];
  objectIds: readonly string[] | null;
  /** Null: nothing satisfies it. */
  condition: Condition | null;
  /** Strictly after, strictly before. */
  after: Micros;
  before: Micros | null;
  newestFirst: boolean;
  limit: number;
  offset: number;
}

/** A condition on `entries e`, with its named values. */
interface Condition {
  sql: string;
  values: Named;
  /** It may leave out nearly everything, so it is checked on the narrow index and never on whole rows. */
  isRare: boolean;
  /** What must be read to check an admitted entry: nothing, its own columns in the index, or other entries of its object. */
  checkedBy: 'not' | CheckedBy;
}

/** What must be read to check an entry. */
export type CheckedBy = 'index' | 'others';

/** An SQL statement and its named values. */
export interface Statement {
  sql: string;
  values: Named;
}

/** Queries `limit` entries that pass a filter, oldest first, strictly after a date. */
export function filteredQuery(
  journal: JournalRow,
  typeCounts: readonly TypeCount[],
  filter: Omit<EntryFilter, 'journal'>,
  after: Micros,
  limit: number,
): EntryQuery {
  const { observableTypes, stixTypes, objectIds, versions } = filter;
  const onlyLast = versions.last && !versions.all && !versions.first && versions.exact.length === 0;
  // A view keeps producer objects; `match[type]` does not.
  const admitted = typeCounts.filter(({ observable, stixType, isProducerObject, superseded }) => {
    const inView =
      observableTypes === null || isProducerObject || (observable !== null && observableTypes.includes(observable));
    return inView && (stixTypes === null || stixTypes.includes(stixType)) && !(onlyLast && superseded);
  });
  const condition = whereVersion(journal, versions);
  return {
    journal,
    typeCounts,
    admitted,
    objectIds,
    condition,
    after,
    before: null,
    newestFirst: false,
    limit,
    offset: 0,
  };
}

/** Queries live indicators, newest first: one more than the limit, which shows whether there are more. */
export function liveEntriesQuery(journal: JournalRow, typeCounts: readonly TypeCount[], query: LiveQuery): EntryQuery {
  const { observableTypes, minConfidence, maxConfidence } = query;
  const conditions = ['e.superseded = 0 AND e.revoked = 0'];
  if (minConfidence !== null) conditions.push('e.confidence >= :least');
  if (maxConfidence !== null) conditions.push('e.confidence <= :most');
  return {
    journal,
    typeCounts,
    admitted: typeCounts.filter(
      (part) =>
        isLive(part) &&
        (observableTypes === null || (part.observable !== null && observableTypes.includes(part.observable))),
    ),
    objectIds: null,
    condition: {
      sql: conditions.join(' AND '),
      values: { least: minConfidence, most: maxConfidence },
      isRare: conditions.length > 1,
      checkedBy: conditions.length > 1 ? 'index' : 'not',
    },
    after: query.since ?? 0,
    before: query.before,
    newestFirst: true,
    limit: query.limit + 1,
    offset: query.offset,
  };
}

/** `match[version]` (TAXII 2.1 section 3.4.1) as a condition: the union of its parts. */
function whereVersion(journal: JournalRow, versions: VersionFilter): Condition | null {
  // Where only last versions stand, each entry is the first and the last of its object.
  if (versions.all || (versions.first && journal.keepVersions === 'last'))
    return { sql: '1', values: {}, isRare: false, checkedBy: 'not' };
  const parts: string[] = [];
  if (versions.last) parts.push('e.superseded = 0');
  if (versions.exact.length > 0) parts.push('e.version IN (SELECT value FROM json_each(:exact))');
  if (versions.first) {
    parts.push(`NOT EXISTS (SELECT 1 FROM entries o INDEXED BY entries_by_uuid
      WHERE o.journal = e.journal AND o.uuid = e.uuid AND (o.version, o.date_added) < (e.version, e.date_added)
      AND (SELECT stix_type FROM entry_types WHERE code = o.type) = (SELECT stix_type FROM entry_types WHERE code = e.type))`);
  }
  if (parts.length === 0) return null;
  return {
    sql: `(${parts.join(' OR ')})`,
    values: { exact: JSON.stringify(versions.exact) },
    isRare: !versions.last && !versions.first,
    // Where last versions alone are wanted, no others are admitted.
    checkedBy: versions.first ? 'others' : versions.exact.length > 0 ? 'index' : 'not',
  };
}

/**
 * What must be read to check the entries, where a read may pass over any number of them: for a condition, for an offset of more than
 * `most`, or because too many types are admitted to pick them out. Null: every entry that is read matches, or is found by its id.
 */
export function checkOf(
  { admitted, typeCounts, objectIds, condition, offset }: EntryQuery,
  most: number,
): CheckedBy | null {
  if (admitted.length === 0 || condition === null || objectIds !== null) return null;
  if (condition.checkedBy !== 'not') return condition.checkedBy;
  return offset > most || (admitted.length > MAX_ARMS && admitted.length < typeCounts.length) ? 'index' : null;
}

/**
 * Makes the statement that reads `columns` of the matching entries from an index in the order that is asked for, so that a page
 * behind the millionth entry, or of a rare type, costs as much as the first. Null: nothing can match.
 */
export function select(wanted: EntryQuery, columns: string): Statement | null {
  const { typeCounts, admitted, objectIds, condition } = wanted;
  if (admitted.length === 0 || condition === null || objectIds?.length === 0) return null;
  if (objectIds !== null) return selectByIds(wanted, condition, objectIds, columns);
  const isWhole = admitted.length === typeCounts.length;
  if ((isWhole && !condition.isRare) || admitted.length > MAX_ARMS) return selectByDate(wanted, condition, columns);
  return selectByTypes(wanted, condition, columns);
}

/**
 * A first try for a filter that admits much: a stretch of the journal with at least twice as many entries as are wanted, in which
 * entries that are not admitted are passed over. `beyond` is the query for what lies behind the stretch; null: nothing does.
 * Returns null for filters that admit little.
 */
export function selectNearby(
  connection: Connection,
  wanted: EntryQuery,
  columns: string,
): (Statement & { beyond: EntryQuery | null }) | null {
  const { journal, typeCounts, admitted, objectIds, condition, after, before, newestFirst } = wanted;
  if (condition === null || condition.isRare || objectIds !== null || wanted.offset > 0) return null;
  const share = countEntries(admitted) / Math.max(1, countEntries(typeCounts));
  if (share < LARGE_SHARE || admitted.length === typeCounts.length) return null;
  const segments = 1 + Math.ceil((2 * wanted.limit) / SEGMENT_ENTRIES);
  if (newestFirst) {
    const edge = segmentBefore(connection, journal.id, before, segments) ?? 0;
    if (edge <= after + 1) return { ...selectByDate(wanted, condition, columns), beyond: null };
    const nearby = selectByDate({ ...wanted, after: edge - 1 }, condition, columns);
    return { ...nearby, beyond: { ...wanted, before: edge } };
  }
  const edge = segmentAfter(connection, journal.id, after, segments) ?? Number.MAX_SAFE_INTEGER;
  if (edge >= (before ?? Number.MAX_SAFE_INTEGER)) return { ...selectByDate(wanted, condition, columns), beyond: null };
  const nearby = selectByDate({ ...wanted, before: edge }, condition, columns);
  return { ...nearby, beyond: { ...wanted, after: edge - 1 } };
}

function selectByIds(
  wanted: EntryQuery,
  condition: Condition,
  objectIds: readonly string[],
  columns: string,
): Statement {
  const found = `SELECT e.id AS id, e.date_added AS date_added FROM json_each(:ids) i
    CROSS JOIN entries e INDEXED BY entries_by_uuid
    ON e.journal = :journal AND e.uuid = ${uuidFromWord('(i.value ->> 1)')}
    CROSS JOIN entry_types t ON t.code = e.type AND t.stix_type = i.value ->> 0
    WHERE ${RANGE} AND ${IN_CODES} AND ${condition.sql} ${orderOf(wanted)}`;
  return { sql: readWhole(found, columns), values: { ...valuesOf(wanted, condition), ids: idPairs(objectIds) } };
}

function selectByDate(wanted: EntryQuery, condition: Condition, columns: string): Statement {
  const isTyped = wanted.admitted.length < wanted.typeCounts.length;
  const sql = `SELECT ${columns} FROM entries e INDEXED BY entries_by_date
    WHERE ${RANGE} ${isTyped ? `AND ${IN_CODES}` : ''} AND ${condition.sql} ${orderOf(wanted)}`;
  return { sql, values: valuesOf(wanted, condition) };
}

/** Makes the statement that counts the matching entries, up to `limit`, on the narrow index. Null: nothing can match. */
export function selectCount(wanted: EntryQuery): Statement | null {
  const { admitted, condition } = wanted;
  if (admitted.length === 0 || condition === null) return null;
  const { arms, values } = armsOf(wanted, condition);
  return { sql: `SELECT count(*) FROM (${arms.join(' UNION ALL ')} LIMIT :limit OFFSET :offset)`, values };
}

function selectByTypes(wanted: EntryQuery, condition: Condition, columns: string): Statement {
  const { arms, values } = armsOf(wanted, condition);
  return { sql: readWhole(`${arms.join(' UNION ALL ')} ${orderOf(wanted)}`, columns), values };
}

/** An arm for each admitted stretch of the index; SQLite merges them as they come, each in its own order. */
function armsOf(wanted: EntryQuery, condition: Condition): { arms: string[]; values: Named } {
  const values = valuesOf(wanted, condition);
  const arms = wanted.admitted.map(({ code, superseded, revoked }, arm) => {
    values[`type${arm}`] = code;
    return `SELECT e.id AS id, e.date_added AS date_added FROM entries e INDEXED BY entries_by_type
      WHERE e.type = :type${arm} AND e.superseded = ${superseded ? 1 : 0} AND e.revoked = ${revoked ? 1 : 0}
      AND ${RANGE} AND ${condition.sql}`;
  });
  return { arms, values };
}

/** Reads whole rows only of the entries that `found`, a query on narrow indexes, names. */
function readWhole(found: string, columns: string): string {
  return `SELECT ${columns} FROM (${found}) s CROSS JOIN entries e ON e.id = s.id`;
}

const RANGE = 'e.journal = :journal AND e.date_added > :after AND e.date_added < :before';
const IN_CODES = 'e.type IN (SELECT value FROM json_each(:codes))';

function orderOf({ newestFirst }: EntryQuery): string {
  return `ORDER BY date_added ${newestFirst ? 'DESC' : 'ASC'} LIMIT :limit OFFSET :offset`;
}

function valuesOf(wanted: EntryQuery, condition: Condition): Named {
  return {
    ...condition.values,
    journal: wanted.journal.id,
    after: wanted.after,
    before: wanted.before ?? Number.MAX_SAFE_INTEGER,
    limit: wanted.limit,
    offset: wanted.offset,
    codes: JSON.stringify(wanted.admitted.map(({ code }) => code)),
  };
}

function countEntries(typeCounts: readonly TypeCount[]): number {
  return typeCounts.reduce((sum, { entries }) => sum + entries, 0);
}

/** Pairs of STIX type and id word, each once. Texts that are no STIX id match nothing and are left out. */
function idPairs(objectIds: readonly string[]): string {
  const pairs: [string, string][] = [];
  for (const id of new Set(objectIds)) {
    const parts = splitObjectId(id);
    if (parts !== undefined) pairs.push([parts.stixType, parts.word]);
  }
  return JSON.stringify(pairs);
}

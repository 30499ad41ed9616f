import type { Micros } from '../../model/clock.ts';
import type { EntryFilter, VersionFilter } from '../../model/entry-filter.ts';
import type { LiveQuery } from '../store.ts';
import type { Connection, Named } from './connection.ts';
import type { JournalRow } from './journals.ts';
import { splitObjectId, uuidFromWord } from './object-id.ts';
import { SEGMENT_ENTRIES, segmentAfter, segmentBefore } from './segments.ts';
import { isLive, type Standing } from './standing.ts';

/** Most arms of a UNION; SQLite takes 500 (https://sqlite.org/limits.html), and merging many is slower than skipping. */
const MAX_ARMS = 48;
/** From this share of a journal on, passing over what is not admitted is faster than picking out what is. */
const LARGE_SHARE = 0.25;

/** Which entries of a journal, in which order. */
export interface Wanted {
  journal: JournalRow;
  /** All that stands in the journal, and what of it may match. */
  standing: readonly Standing[];
  admitted: readonly Standing[];
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
  /** It may leave out nearly everything: to be checked on the narrow index, never on whole rows. */
  isRare: boolean;
  /** What an admitted entry is judged by: nothing (each passes), its own columns in the index, or others of its object. */
  judged: 'not' | Judged;
}

/** What it takes to judge an entry. */
export type Judged = 'index' | 'others';

/** A query and its named values. */
export interface Selection {
  sql: string;
  values: Named;
}

/** `limit` entries that pass a filter, ascending, strictly after a date. */
export function wantFiltered(
  journal: JournalRow,
  standing: readonly Standing[],
  filter: Omit<EntryFilter, 'journal'>,
  after: Micros,
  limit: number,
): Wanted {
  const { observableTypes, stixTypes, objectIds, versions } = filter;
  const onlyLast = versions.last && !versions.all && !versions.first && versions.exact.length === 0;
  // A view keeps the isProducerObject, `match[type]` does not.
  const admitted = standing.filter(({ observable, stixType, isProducerObject, superseded }) => {
    const inView =
      observableTypes === null || isProducerObject || (observable !== null && observableTypes.includes(observable));
    return inView && (stixTypes === null || stixTypes.includes(stixType)) && !(onlyLast && superseded);
  });
  const condition = whereVersion(journal, versions);
  return {
    journal,
    standing,
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

/** Live indicators, newest first; one more than the query's limit. */
export function wantLive(journal: JournalRow, standing: readonly Standing[], query: LiveQuery): Wanted {
  const { observableTypes, minConfidence, maxConfidence } = query;
  const conditions = ['e.superseded = 0 AND e.revoked = 0'];
  if (minConfidence !== null) conditions.push('e.confidence >= :least');
  if (maxConfidence !== null) conditions.push('e.confidence <= :most');
  return {
    journal,
    standing,
    admitted: standing.filter(
      (part) =>
        isLive(part) &&
        (observableTypes === null || (part.observable !== null && observableTypes.includes(part.observable))),
    ),
    objectIds: null,
    condition: {
      sql: conditions.join(' AND '),
      values: { least: minConfidence, most: maxConfidence },
      isRare: conditions.length > 1,
      judged: conditions.length > 1 ? 'index' : 'not',
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
    return { sql: '1', values: {}, isRare: false, judged: 'not' };
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
    judged: versions.first ? 'others' : versions.exact.length > 0 ? 'index' : 'not',
  };
}

/**
 * What the entries are judged by that reading may pass over without end, be it for a condition, for an offset of more than `most`, or
 * for types that are too many to be picked out. Null: all that is read is wanted, or found by its id.
 */
export function mayPassOver({ admitted, standing, objectIds, condition, offset }: Wanted, most: number): Judged | null {
  if (admitted.length === 0 || condition === null || objectIds !== null) return null;
  if (condition.judged !== 'not') return condition.judged;
  return offset > most || (admitted.length > MAX_ARMS && admitted.length < standing.length) ? 'index' : null;
}

/**
 * Reads `columns` of what is wanted from an index that already has its order: a page behind the millionth entry, or of a
 * rare type, costs what the first page costs. Null when nothing can match.
 */
export function select(wanted: Wanted, columns: string): Selection | null {
  const { standing, admitted, objectIds, condition } = wanted;
  if (admitted.length === 0 || condition === null || objectIds?.length === 0) return null;
  if (objectIds !== null) return selectByIds(wanted, condition, objectIds, columns);
  const isWhole = admitted.length === standing.length;
  if ((isWhole && !condition.isRare) || admitted.length > MAX_ARMS) return selectByDate(wanted, condition, columns);
  return selectByTypes(wanted, condition, columns);
}

/**
 * A first try for a filter that admits much: a stretch of the journal of at least twice the entries that are wanted, in
 * which what is not admitted is passed over. `beyond`: what is wanted behind it, null where nothing can be. Null when it
 * isn't worth it.
 */
export function selectNearby(
  connection: Connection,
  wanted: Wanted,
  columns: string,
): (Selection & { beyond: Wanted | null }) | null {
  const { journal, standing, admitted, objectIds, condition, after, before, newestFirst } = wanted;
  if (condition === null || condition.isRare || objectIds !== null || wanted.offset > 0) return null;
  const share = countEntries(admitted) / Math.max(1, countEntries(standing));
  if (share < LARGE_SHARE || admitted.length === standing.length) return null;
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

function selectByIds(wanted: Wanted, condition: Condition, objectIds: readonly string[], columns: string): Selection {
  const found = `SELECT e.id AS id, e.date_added AS date_added FROM json_each(:ids) i
    CROSS JOIN entries e INDEXED BY entries_by_uuid
    ON e.journal = :journal AND e.uuid = ${uuidFromWord('(i.value ->> 1)')}
    CROSS JOIN entry_types t ON t.code = e.type AND t.stix_type = i.value ->> 0
    WHERE ${RANGE} AND ${IN_CODES} AND ${condition.sql} ${orderOf(wanted)}`;
  return { sql: readWhole(found, columns), values: { ...valuesOf(wanted, condition), ids: idPairs(objectIds) } };
}

function selectByDate(wanted: Wanted, condition: Condition, columns: string): Selection {
  const isTyped = wanted.admitted.length < wanted.standing.length;
  const sql = `SELECT ${columns} FROM entries e INDEXED BY entries_by_date
    WHERE ${RANGE} ${isTyped ? `AND ${IN_CODES}` : ''} AND ${condition.sql} ${orderOf(wanted)}`;
  return { sql, values: valuesOf(wanted, condition) };
}

/** How many there are, `limit` at most: counted on the narrow index, in no order. Null when nothing can match. */
export function selectCount(wanted: Wanted): Selection | null {
  const { admitted, condition } = wanted;
  if (admitted.length === 0 || condition === null) return null;
  const { arms, values } = armsOf(wanted, condition);
  return { sql: `SELECT count(*) FROM (${arms.join(' UNION ALL ')} LIMIT :limit OFFSET :offset)`, values };
}

function selectByTypes(wanted: Wanted, condition: Condition, columns: string): Selection {
  const { arms, values } = armsOf(wanted, condition);
  return { sql: readWhole(`${arms.join(' UNION ALL ')} ${orderOf(wanted)}`, columns), values };
}

/** An arm for each admitted stretch of the index; SQLite merges them as they come, each in its own order. */
function armsOf(wanted: Wanted, condition: Condition): { arms: string[]; values: Named } {
  const values = valuesOf(wanted, condition);
  const arms = wanted.admitted.map(({ code, superseded, revoked }, arm) => {
    values[`type${arm}`] = code;
    return `SELECT e.id AS id, e.date_added AS date_added FROM entries e INDEXED BY entries_by_type
      WHERE e.type = :type${arm} AND e.superseded = ${superseded ? 1 : 0} AND e.revoked = ${revoked ? 1 : 0}
      AND ${RANGE} AND ${condition.sql}`;
  });
  return { arms, values };
}

/** `found` comes from narrow indexes; only what it names is read whole. */
function readWhole(found: string, columns: string): string {
  return `SELECT ${columns} FROM (${found}) s CROSS JOIN entries e ON e.id = s.id`;
}

const RANGE = 'e.journal = :journal AND e.date_added > :after AND e.date_added < :before';
const IN_CODES = 'e.type IN (SELECT value FROM json_each(:codes))';

function orderOf({ newestFirst }: Wanted): string {
  return `ORDER BY date_added ${newestFirst ? 'DESC' : 'ASC'} LIMIT :limit OFFSET :offset`;
}

function valuesOf(wanted: Wanted, condition: Condition): Named {
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

function countEntries(standing: readonly Standing[]): number {
  return standing.reduce((sum, { entries }) => sum + entries, 0);
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

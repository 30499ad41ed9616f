import type { Entry, IndicatorEntry, ObjectEntry, WithdrawalReason } from '../../model/entry.ts';
import type { JsonText } from '../../model/json.ts';
import type { ObservableType } from '../../model/observable.ts';
import { tlpCode, tlpOfCode } from './codes.ts';
import type { Value } from './connection.ts';
import { joinObjectId } from './object-id.ts';

/**
 * Rows of `entries` in and out. A page reads a thousand of them: they are taken by position, and the order of columns is known in
 * this file only. test/contracts/store/views.ts compares what is read with what was appended.
 */

/** A row of `entry_types`. */
export interface EntryType {
  code: number;
  stixType: string;
  /** Null for what is no indicator. */
  observable: ObservableType | null;
  isProducerObject: boolean;
}

/** A row of `entries e` as an EntryRow, for `Connection.each`. Hex text is read twice as fast as a blob. */
export const TAKE_ENTRY = `take(e.date_added, e.type, CASE typeof(e.uuid) WHEN 'blob' THEN hex(e.uuid) ELSE ':' || e.uuid END,
  e.version, e.superseded, e.revoked, e.due, e.raw, hex(e.key), e.value, e.generation, e.created, e.valid_from,
  e.valid_until, e.reason, e.confidence, e.tlp, e.first_seen, e.last_seen, e.name, e.description, e.labels, e.refs,
  e.sources, e.kept, e.fingerprint)`;

// A column that only one kind of entry has is typed as that kind has it; `type` says which.
// biome-ignore format: a line per group reads like the list above
export type EntryRow = [
  dateAdded: number, type: number, word: string,
  version: number, superseded: number, revoked: number, due: number | null, raw: JsonText,
  key: string, value: string, generation: number, created: number, validFrom: number,
  validUntil: number | null, reason: WithdrawalReason | null, confidence: number | null, tlp: number,
  firstSeen: number | null, lastSeen: number | null, name: string | null, description: string | null,
  labels: JsonText | null, refs: JsonText | null, sources: JsonText, kept: JsonText | null, fingerprint: string,
];

export function entryFromRow(row: EntryRow, types: ReadonlyMap<number, EntryType>): Entry {
  const type = types.get(row[1]);
  if (type === undefined) throw new Error(`unknown entry type ${row[1]}`);
  return type.observable === null ? objectFromRow(row, type) : indicatorFromRow(row, type, type.observable);
}

function objectFromRow(row: EntryRow, type: EntryType): ObjectEntry {
  return {
    kind: 'object',
    dateAdded: row[0],
    objectId: joinObjectId(type.stixType, row[2]),
    version: row[3],
    superseded: row[4] === 1,
    stixType: type.stixType,
    isProducerObject: type.isProducerObject,
    raw: row[7],
    due: row[6],
  };
}

function indicatorFromRow(row: EntryRow, type: EntryType, observable: ObservableType): IndicatorEntry {
  return {
    kind: 'indicator',
    dateAdded: row[0],
    objectId: joinObjectId(type.stixType, row[2]),
    version: row[3],
    superseded: row[4] === 1,
    key: row[8].toLowerCase(),
    type: observable,
    value: row[9],
    generation: row[10],
    created: row[11],
    validFrom: row[12],
    validUntil: row[13],
    revoked: row[5] === 1,
    reason: row[14],
    confidence: row[15],
    tlp: tlpOfCode(row[16]),
    firstSeen: row[17],
    lastSeen: row[18],
    name: row[19],
    description: row[20],
    labels: row[21],
    references: row[22],
    sources: row[23],
    kept: row[24],
    fingerprint: row[25],
    due: row[6],
  };
}

/** Takes the values of `entryValues` in their order. A UUID keeps its hyphens up to here: SQLite skips them. */
export const INSERT_ENTRY = `INSERT INTO entries (journal, date_added, type, uuid, version, superseded, revoked, due, raw,
    key, value, generation, created, valid_from, valid_until, reason, confidence, tlp, first_seen, last_seen, name,
    description, labels, refs, sources, kept, fingerprint)
  VALUES (?, ?, ?, ifnull(unhex(?4, '-'), substr(?4, 2)), ?, ?, ?, ?, ?, unhex(?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?)`;

const NO_INDICATOR: Value[] = new Array(18).fill(null);

/** `uuid`: the id behind its type, with a colon before it when it is no canonical UUID. */
export function entryValues(journal: number, code: number, uuid: string, entry: Entry): Value[] {
  const { dateAdded, version, due } = entry;
  const superseded = entry.superseded ? 1 : 0;
  if (entry.kind === 'object') {
    return [journal, dateAdded, code, uuid, version, superseded, 0, due, entry.raw, ...NO_INDICATOR];
  }
  // biome-ignore format: in the order of INSERT_ENTRY
  return [
    journal, dateAdded, code, uuid, version, superseded, entry.revoked ? 1 : 0, due, null,
    entry.key, entry.value, entry.generation, entry.created, entry.validFrom, entry.validUntil, entry.reason,
    entry.confidence, tlpCode(entry.tlp), entry.firstSeen, entry.lastSeen, entry.name,
    entry.description, entry.labels, entry.references, entry.sources, entry.kept, entry.fingerprint,
  ];
}

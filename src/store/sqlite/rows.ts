import type { Entry, IndicatorEntry, ObjectEntry, WithdrawalReason } from '../../model/entry.ts';
import type { JsonText } from '../../model/json.ts';
import type { ObservableType } from '../../model/observable.ts';
import type { Tlp } from '../../model/tlp.ts';
import { misuse } from '../misuse.ts';
import type { Value } from './connection.ts';

/** Numbers on disk: never reused, never changed, whatever order the model lists its words in. */
export const observableCodes: Record<ObservableType, number> = {
  ipv4: 1,
  ipv6: 2,
  domain: 3,
  url: 4,
  md5: 5,
  sha1: 6,
  sha256: 7,
  sha512: 8,
  email: 9,
  asn: 10,
  'registry-key': 11,
  x509: 12,
  'file-name': 13,
  cve: 14,
};
/** `entry_types.observable` of what is no indicator. */
export const NO_OBSERVABLE = 0;
const tlpCodes: Record<Tlp, number> = { clear: 1, green: 2, amber: 3, 'amber+strict': 4, red: 5 };

const observableByCode = new Map<number, ObservableType>(invert(observableCodes));
const tlpByCode = new Map<number, Tlp>(invert(tlpCodes));

function invert<Word extends string>(codes: Record<Word, number>): [number, Word][] {
  return Object.entries(codes).map(([word, code]) => [code as number, word as Word]);
}

export function observableOfCode(code: number): ObservableType {
  const type = observableByCode.get(code);
  if (type === undefined) throw new Error(`unknown observable code ${code}`);
  return type;
}

export function tlpCode(tlp: Tlp): number {
  const code = tlpCodes[tlp];
  if (code === undefined) throw misuse(`"${tlp}" is no TLP level`);
  return code;
}

export function tlpOfCode(code: number): Tlp {
  const tlp = tlpByCode.get(code);
  if (tlp === undefined) throw new Error(`unknown TLP code ${code}`);
  return tlp;
}

/** A row of `entry_types`. */
export interface EntryType {
  code: number;
  stixType: string;
  /** Null for what is no indicator. */
  observable: ObservableType | null;
  isProducerObject: boolean;
}

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * An object id as its STIX type and the word that stands for the rest in SQL: 32 hex digits of a UUID in canonical form,
 * or a colon and whatever else a foreign id has there, so that every id comes back as it came.
 */
export function splitObjectId(objectId: string): { stixType: string; word: string } | undefined {
  const at = objectId.indexOf('--');
  if (at < 1) return undefined;
  const uuid = markedUuid(objectId, at + 2);
  return { stixType: objectId.slice(0, at), word: uuid.startsWith(':') ? uuid : uuid.replaceAll('-', '') };
}

/** What stands behind the type of an object id: as it is when it is a UUID in canonical form, else with a colon before it. */
export function markedUuid(objectId: string, from: number): string {
  const rest = objectId.slice(from);
  return CANONICAL_UUID.test(rest) ? rest : `:${rest}`;
}

/** `word` as splitObjectId answers it, or its digits in capitals. */
function joinObjectId(stixType: string, word: string): string {
  if (word.startsWith(':')) return `${stixType}--${word.slice(1)}`;
  const hex = word.toLowerCase();
  // In pieces of twelve characters: V8 writes shorter strings out at once and only ties longer ones together.
  const first = `${hex.slice(0, 8)}-${hex.slice(8, 11)}`;
  const second = `${hex.slice(11, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-`;
  return `${stixType}--${first}${second}${hex.slice(20)}`;
}

/** SQL that makes a word of splitObjectId the value of column `uuid`. */
export function uuidFromWord(word: string): string {
  return `iif(substr(${word}, 1, 1) = ':', substr(${word}, 2), unhex(${word}))`;
}

/** A row of `entries e` as an EntryRow, for `Connection.each`. Hex text is read twice as fast as a blob. */
export const TAKE_ENTRY = `take(e.date_added, e.type, CASE typeof(e.uuid) WHEN 'blob' THEN hex(e.uuid) ELSE ':' || e.uuid END,
  e.version, e.superseded, e.revoked, e.due, e.raw, hex(e.key), e.value, e.generation, e.created, e.valid_from,
  e.valid_until, e.reason, e.confidence, e.tlp, e.first_seen, e.last_seen, e.name, e.description, e.labels, e.refs,
  e.sources, e.kept, e.fingerprint)`;

// biome-ignore format: a line per group reads like the list above
export type EntryRow = [
  dateAdded: number, type: number, word: string,
  version: number, superseded: number, revoked: number, due: number | null, raw: string | null,
  key: string, value: string, generation: number, created: number, validFrom: number,
  validUntil: number | null, reason: string | null, confidence: number | null, tlp: number,
  firstSeen: number | null, lastSeen: number | null, name: string | null, description: string | null,
  labels: string | null, refs: string | null, sources: string, kept: string | null, fingerprint: string,
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
    raw: row[7] as JsonText,
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
    reason: row[14] as WithdrawalReason | null,
    confidence: row[15],
    tlp: tlpOfCode(row[16]),
    firstSeen: row[17],
    lastSeen: row[18],
    name: row[19],
    description: row[20],
    labels: row[21] as JsonText | null,
    references: row[22] as JsonText | null,
    sources: row[23] as JsonText,
    kept: row[24] as JsonText | null,
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

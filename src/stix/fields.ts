import type { Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import type { JsonText } from '../model/json.ts';
import type { ObservableType } from '../model/observable.ts';
import { formatMillis } from '../model/timestamp.ts';
import { markingId, type TlpVersion } from './marking.ts';
import { escapeLiteral, patternHead, patternTail } from './pattern.ts';

/**
 * What a journal entry says as a STIX 2.1 object: one row per property, in the order they are written.
 * - `constant`: JSON text that is the same for every entry.
 * - `plain`: a string that is always there and needs no escape; its quotes are the renderer's.
 * - `text`: JSON text, so columns that hold JSON are spliced in as they are; null leaves the property out.
 */
export type FieldRow =
  | { property: string; constant: string }
  | { property: string; plain(entry: IndicatorEntry, context: RenderContext): string }
  | { property: string; text(entry: IndicatorEntry, context: RenderContext): string | null };

export interface RenderContext {
  /** `created_by_ref` of all that is issued: the id of the producing identity. */
  identityId: string;
  /** Which markings are referred to; 2 unless readers know only TLP 1. */
  tlpVersion?: TlpVersion;
}

/** STIX 2.1 section 3.2, as far as indicators and vulnerabilities share it. */
const common = {
  spec_version: { property: 'spec_version', constant: '"2.1"' },
  id: { property: 'id', plain: (entry) => entry.objectId },
  created_by_ref: { property: 'created_by_ref', plain: (_, context) => context.identityId },
  created: { property: 'created', plain: (entry) => time(entry.created) },
  modified: { property: 'modified', plain: (entry) => time(entry.version) },
  // Absent means false (section 3.2); only tombstones carry it.
  revoked: { property: 'revoked', text: (entry) => (entry.revoked ? 'true' : null) },
  description: {
    property: 'description',
    text: (entry) => (entry.description === null ? describe(entry) : JSON.stringify(entry.description)),
  },
  confidence: { property: 'confidence', text: (entry) => (entry.confidence === null ? null : `${entry.confidence}`) },
  labels: { property: 'labels', text: (entry) => withItem(`["tlp:${entry.tlp}"`, entry.labels) },
  object_marking_refs: {
    property: 'object_marking_refs',
    text: (entry, context) => withItem(`["${markingId(entry.tlp, context.tlpVersion)}"`, keptMarkings(entry.kept)),
  },
} satisfies Record<string, FieldRow>;

/** STIX 2.1 section 4.7. */
export const indicatorFields: readonly FieldRow[] = [
  { property: 'type', constant: '"indicator"' },
  common.spec_version,
  common.id,
  common.created_by_ref,
  common.created,
  common.modified,
  common.revoked,
  { property: 'name', text: (entry) => quote(entry.name ?? entry.value) },
  common.description,
  { property: 'indicator_types', text: indicatorTypes },
  { property: 'pattern', plain: patternText },
  { property: 'pattern_type', constant: '"stix"' },
  { property: 'pattern_version', constant: '"2.1"' },
  { property: 'valid_from', plain: (entry) => time(entry.validFrom) },
  { property: 'valid_until', text: (entry) => (entry.validUntil === null ? null : `"${time(entry.validUntil)}"`) },
  common.confidence,
  common.labels,
  { property: 'external_references', text: (entry) => (isEmptyList(entry.references) ? null : entry.references) },
  common.object_marking_refs,
];

/** STIX 2.1 section 4.19: a CVE has no pattern and no validity; its name is its id, and `cve` its first reference. */
export const vulnerabilityFields: readonly FieldRow[] = [
  { property: 'type', constant: '"vulnerability"' },
  common.spec_version,
  common.id,
  common.created_by_ref,
  common.created,
  common.modified,
  common.revoked,
  { property: 'name', text: (entry) => quote(entry.value) },
  common.description,
  common.confidence,
  common.labels,
  {
    property: 'external_references',
    text: (entry) => withItem(`[{"source_name":"cve","external_id":"${entry.value}"}`, entry.references),
  },
  common.object_marking_refs,
];

/**
 * Upstream properties that are never kept, because a row above says them. `object_marking_refs` may be kept, without TLP
 * and as the first key: the row above joins them.
 */
export const ownProperties: ReadonlySet<string> = new Set(
  [...indicatorFields, ...vulnerabilityFields]
    .map((row) => row.property)
    .filter((property) => property !== 'indicator_types' && property !== 'object_marking_refs'),
);

/**
 * What upstream says; else that the feed's word is "suspected malicious" (STIX 2.1 section 10.5, `malicious-activity`),
 * and `unknown` where all sources say that they have no confidence in it.
 */
function indicatorTypes(entry: IndicatorEntry): string | null {
  if (entry.kept?.includes('"indicator_types":')) return null;
  return entry.confidence === 0 ? '["unknown"]' : '["malicious-activity"]';
}

function patternText(entry: IndicatorEntry): string {
  const { value } = entry;
  const literal = isPlain(value) ? value : JSON.stringify(escapeLiteral(value)).slice(1, -1);
  return patternHead(entry) + literal + patternTail(entry.type);
}

const nouns: Record<ObservableType, string> = {
  ipv4: 'IPv4 address',
  ipv6: 'IPv6 address',
  domain: 'Domain name',
  url: 'URL',
  md5: 'File with this MD5',
  sha1: 'File with this SHA-1',
  sha256: 'File with this SHA-256',
  sha512: 'File with this SHA-512',
  email: 'E-mail address',
  asn: 'Autonomous system',
  'registry-key': 'Windows registry key',
  x509: 'X.509 certificate',
  'file-name': 'File of this name',
  cve: 'Vulnerability',
};

/** Sources named in a description of ours; the strongest come first in the column. */
const NAMED_SOURCES = 3;
const NAME_KEY = '"feed_name":"';

/** A description must be there for readers that drop all else (Elastic, OASIS best practice): what it is, and who says so. */
function describe(entry: IndicatorEntry): string {
  const names: string[] = [];
  // Within JSON text this key can't be part of a string, whose quotes are escaped; its value is spliced as it stands.
  let at = entry.sources.indexOf(NAME_KEY);
  while (at >= 0 && names.length < NAMED_SOURCES) {
    const start = at + NAME_KEY.length;
    let end = entry.sources.indexOf('"', start);
    while (end > 0 && isEscaped(entry.sources, end)) end = entry.sources.indexOf('"', end + 1);
    const name = entry.sources.slice(start, end);
    if (!names.includes(name)) names.push(name);
    at = entry.sources.indexOf(NAME_KEY, end);
  }
  return names.length === 0 ? `"${nouns[entry.type]}."` : `"${nouns[entry.type]} reported by ${names.join(', ')}."`;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1;
  return slashes % 2 === 1;
}

const KEPT_MARKINGS = '{"object_marking_refs":';

/** Markings that are not TLP (a licence, a statement), kept from upstream as the first key. */
function keptMarkings(kept: JsonText | null): string | null {
  if (!kept?.startsWith(KEPT_MARKINGS)) return null;
  return kept.slice(KEPT_MARKINGS.length, kept.indexOf(']') + 1);
}

/** The text of an object's kept members, ready to follow ours: `,"lang":"en"` or nothing. */
export function keptMembers(kept: JsonText | null): string {
  if (kept === null || kept.length <= 2) return '';
  if (!kept.startsWith(KEPT_MARKINGS)) return `,${kept.slice(1, -1)}`;
  return kept.slice(kept.indexOf(']') + 1, -1);
}

function isEmptyList(list: string | null): boolean {
  return list === null || list.length <= 2;
}

/** A JSON list from its first item, ours, and a list of the others; ours is found even where readers cut. */
function withItem(opening: string, others: string | null): string {
  return isEmptyList(others) ? `${opening}]` : `${opening},${(others as string).slice(1)}`;
}

/** Text that needs an escape in JSON or in a pattern, or is no well-formed Unicode. */
const NEEDS_ESCAPE = /["\\'\p{Cc}\p{Cs}]/u;

function isPlain(text: string): boolean {
  return !NEEDS_ESCAPE.test(text);
}

function quote(text: string): string {
  return isPlain(text) ? `"${text}"` : JSON.stringify(text);
}

const MICROS_PER_DAY = 86_400_000_000;
const MICROS_PER_MINUTE = 60_000_000;
const two = (n: number): string => String(n).padStart(2, '0');
const minuteTexts = Array.from({ length: 1440 }, (_, n) => `${two(Math.floor(n / 60))}:${two(n % 60)}:`);
const secondTexts = Array.from({ length: 60 }, (_, n) => `${two(n)}.`);
const milliTexts = Array.from({ length: 1000 }, (_, n) => `${String(n).padStart(3, '0')}Z`);
/** The days that were written last, each in the slot of its number: the times of one page lie on few of them. */
const DAY_SLOTS = 64;
const dayNumbers = new Int32Array(DAY_SLOTS).fill(-1);
const dayTexts = new Array<string>(DAY_SLOTS).fill('');

/** `YYYY-MM-DDTHH:MM:SS.sssZ`: as formatMillis, several times as fast since entries of one page share their days. */
export function time(micros: Micros): string {
  const day = Math.floor(micros / MICROS_PER_DAY);
  const slot = day % DAY_SLOTS;
  if (day !== dayNumbers[slot]) {
    dayTexts[slot] = formatMillis(day * MICROS_PER_DAY).slice(0, 11);
    dayNumbers[slot] = day;
  }
  const inDay = micros - day * MICROS_PER_DAY;
  const minute = Math.floor(inDay / MICROS_PER_MINUTE);
  const ms = Math.floor((inDay - minute * MICROS_PER_MINUTE) / 1000);
  const second = Math.floor(ms / 1000);
  return dayTexts[slot] + (minuteTexts[minute] + (secondTexts[second] as string)) + milliTexts[ms - second * 1000];
}

/** The STIX type of an entry on this observable. */
export function stixTypeOf(type: ObservableType): 'indicator' | 'vulnerability' {
  return type === 'cve' ? 'vulnerability' : 'indicator';
}

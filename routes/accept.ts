import { LRUCache } from 'lru-cache';

/**
 * Accept and Accept-Encoding (RFC 9110 sections 12.4.2, 12.5.1 and 12.5.3). `negotiator` and what stands on it answer with names only:
 * TAXII needs a range's parameters, and where a client likes several things equally, what the server likes best decides here.
 */

/** One item of such a field. All of it is lower case. */
export interface Range {
  /** `text/csv`, `text/*`, `gzip`, `*`. */
  name: string;
  /** 0 to 1; null for a `q` that is no weight: what it means is the field's to say. */
  weight: number | null;
  /** Those beside `q`, without quotes. */
  parameters: ReadonlyMap<string, string>;
}

/** A longer field is hardly sent twice. */
const MAX_KEPT = 1024;
/** Clients of a kind send the same with every request. */
const kept = new LRUCache<string, readonly Range[]>({ max: 200, memoMethod: parseRanges });

/** The items of a field in their order. A field that is absent or blank has none. */
export function readRanges(field: string | undefined): readonly Range[] {
  if (field === undefined || field.trim() === '') return [];
  return field.length > MAX_KEPT ? parseRanges(field) : kept.memo(field);
}

function parseRanges(field: string): readonly Range[] {
  return field.split(',').map(parseRange);
}

/** `gzip;q=0.5`. */
function parseRange(text: string): Range {
  const [name = '', ...rest] = text.split(';').map((part) => part.trim().toLowerCase());
  const parameters = new Map(rest.map(parseParameter));
  const q = parameters.get('q');
  parameters.delete('q');
  const isWeight = q === undefined || /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(q);
  return { name, weight: isWeight ? Number(q ?? 1) : null, parameters };
}

function parseParameter(text: string): [string, string] {
  const [, name = text, value = ''] = /^([^=\s]*)\s*=\s*"?([^"\s]*)"?$/.exec(text) ?? [];
  return [name, value];
}

/**
 * What the field likes best among these, by their media types; among equals the first. The first of all when there is no field, null
 * when it rules all of them out.
 */
export function mostAcceptable<T>(
  field: string | undefined,
  offered: readonly T[],
  typesOf: (one: T) => readonly string[],
): T | null {
  const ranges = readRanges(field);
  if (ranges.length === 0) return offered[0] ?? null;
  const weighed = offered.map((one) => ({ one, weight: weightOf(typesOf(one), ranges) }));
  return weighed.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight)[0]?.one ?? null;
}

/** The most specific range that names one of the types decides. A `q` that is no weight says nothing: Java's clients send `q=.2`. */
function weightOf(types: readonly string[], ranges: readonly Range[]): number {
  const fitting = ranges.filter(({ name }) => types.some((type) => includes(name, type)));
  const [decisive] = fitting.sort((a, b) => specificity(b.name) - specificity(a.name));
  return decisive === undefined ? 0 : (decisive.weight ?? 1);
}

function includes(range: string, type: string): boolean {
  return range === type || range === '*/*' || range === `${type.split('/')[0]}/*`;
}

function specificity(range: string): number {
  return range === '*/*' ? 0 : range.endsWith('/*') ? 1 : 2;
}

/** What a guess is made of: what normalising says of single values and words. */
export interface Meaning {
  /** Does it normalise to an observable? */
  isValue(text: string): boolean;
  /** Is it a feed's word for a type of observables? */
  isType(text: string): boolean;
}

/** How a document would be read, as keys of `feeds.NAME`, and why in a few words. */
export interface Guess {
  format: string;
  options: Record<string, unknown>;
  why: string;
}

/** A column of a table or a member of objects, with what stands in it. */
export interface Column {
  selector: string | number;
  /** Its name; empty where it has none. */
  name: string;
  cells: string[];
}

/** Of a column or list of values at least so much must normalise. */
export const MOST = 0.5;

export function shareOf<T>(all: readonly T[], is: (one: T) => boolean): number {
  return all.length === 0 ? 0 : all.filter(is).length / all.length;
}

const valueName =
  /^(?:ioc|ioc_value|indicator|value|url|domain|host(?:name)?|ip|ip_address|dst_ip|src_ip|cidr|cve(?:_id)?|.*sha256.*)$/;
const names: Record<string, RegExp> = {
  first_seen: /^(?:first_?seen|date_?added|added|created(?:_at)?|listing_date)$/,
  last_seen: /^(?:last_?seen|last_?online|last_?updated)$/,
  id: /^(?:id|.*_id|uuid)$/,
  labels: /^(?:tags?|labels?)$/,
  malware_family: /^(?:malware|malware_printable|malware_family|family|signature)$/,
  references: /^(?:references?|link|.*_link|reference_url)$/,
  port: /^(?:dst_)?port$/,
  protocol: /^protocol$/,
  description: /^(?:description|comment)$/,
  tlp: /^tlp$/,
  source: /^(?:source|reporter)$/,
};

/** `First_Seen (UTC)` and `firstSeen` are `first_seen`. */
function plainName(name: string): string {
  return name
    .trim()
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[\s_-]*\(?utc\)?$/, '')
    .replace(/[\s-]+/g, '_');
}

/**
 * The `fields` of a table: value where most cells normalise, among these a column with a name for values first; every other property
 * by the name of a column. Null when no column holds values.
 */
export function guessFields(columns: readonly Column[], { isValue, isType }: Meaning): Record<string, unknown> | null {
  const scored = columns.map((column) => {
    const filled = column.cells.filter((cell) => cell !== '');
    const share = shareOf(filled, isValue);
    const isNamed = valueName.test(plainName(column.name));
    const isOther = !isNamed && Object.values(names).some((name) => name.test(plainName(column.name)));
    return { column, share, score: share + (isNamed ? 1 : 0) - (isOther ? 1 : 0) };
  });
  const value = scored.filter(({ share }) => share > MOST).sort((a, b) => b.score - a.score)[0]?.column;
  if (value === undefined) return null;
  const fields: Record<string, unknown> = { value: value.selector };
  const others = columns.filter((column) => column !== value && column.name !== '');
  const type = others.find(({ name, cells }) => /type$/.test(plainName(name)) && shareOf(cells, isType) > MOST);
  if (type !== undefined) fields['type'] = type.selector;
  const confidence = others.find(
    ({ name, cells }) => /^confidence/.test(plainName(name)) && shareOf(cells, isPercent) > MOST,
  );
  if (confidence !== undefined) fields['confidence'] = confidence.selector;
  for (const [property, pattern] of Object.entries(names)) {
    const found = others.find(({ name }) => pattern.test(plainName(name)));
    if (found !== undefined) fields[property] = found.selector;
  }
  return fields;
}

function isPercent(text: string): boolean {
  return /^\d{1,3}$/.test(text) && Number(text) <= 100;
}

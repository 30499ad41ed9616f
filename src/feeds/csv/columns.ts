import { type FieldOptions, listOf } from '../fields.ts';

type Fields = NonNullable<FieldOptions['fields']>;
type Selector = string | number;

/** What `fields` reads of a table. */
export interface Columns {
  /** As the options have it, with the numbers of columns in place of their names. */
  fields: Fields;
  /** Fields that a record must have; 0 where nobody says how many there are. */
  least: number;
  /** Fields that a record may have. */
  most: number;
}

/**
 * Finds the columns by the names of the header, null for a table without. Where a property may stand in several columns, those
 * that the table does not have are left out. Returns a sentence where it has none of them.
 */
export function findColumns(names: readonly string[] | null, fields: Fields): Columns | string {
  if (names === null) return { fields, least: 0, most: Number.POSITIVE_INFINITY };
  const known = names.map((name) => name.trim());
  const numberOf = (selector: Selector): number =>
    typeof selector === 'string' ? known.indexOf(selector) + 1 : selector <= known.length ? selector : 0;
  const found: [string, number[]][] = [];
  for (const [property, given] of Object.entries(fields)) {
    const numbers = listOf(given).map(numberOf);
    const there = numbers.filter((number) => number > 0);
    if (there.length === 0) return `it has no column ${listOf(given).join(' or ')}; its columns are ${shown(known)}`;
    found.push([property, there]);
  }
  return {
    fields: Object.fromEntries(found),
    least: Math.max(...found.flatMap(([, numbers]) => numbers)),
    most: known.length,
  };
}

const MAX_SHOWN = 300;

function shown(names: readonly string[]): string {
  const text = names.map((name) => (name === '' ? '""' : name)).join(', ');
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN).toWellFormed()}…` : text;
}

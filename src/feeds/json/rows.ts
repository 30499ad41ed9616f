import type { Json } from '../../model/json.ts';
import { isJsonObject } from '../../model/json.ts';
import { rowText } from '../../stix/validate.ts';
import { type FieldOptions, rowMaker } from '../fields.ts';
import type { Found } from '../reading/batches.ts';
import { readSelector, type Selector } from '../reading/json-path.ts';

/** Values by the selector that finds them: `true` by its word, `*` for anything that says something. */
export type Condition = Record<string, Word | Word[]>;
type Word = string | number | boolean;

/** Tells whether all that a condition names is so. */
export function readCondition(condition: Condition | undefined): (record: Json) => boolean {
  const parts = Object.entries(condition ?? {}).map(([selector, words]) => {
    const select = readSelector(selector);
    const meant = new Set([words].flat().map(String));
    return (record: Json): boolean => {
      const value = select(record);
      const says = value !== undefined && value !== null && value !== '' && value !== false && !isEmpty(value);
      return (meant.has('*') && says) || (value !== undefined && typeof value !== 'object' && meant.has(String(value)));
    };
  });
  return (record) => parts.length > 0 && parts.every((part) => part(record));
}

const isEmpty = (value: unknown): boolean => typeof value === 'object' && Object.keys(value ?? {}).length === 0;

export interface RowOptions extends FieldOptions {
  rows?: string;
  skip?: Condition;
}

/** Before a selector: it is read in the item around the row. */
const OUTER = '^.';

/** Makes the rows of an item. `skipped`: it is no row, such as metadata. */
export type ItemReader = (item: Json, bytes: number) => { found: Found[]; skipped: boolean };

/** Throws `config-invalid` for a selector that can't be read. */
export function itemReader(options: RowOptions): ItemReader {
  const { rows, fields = {}, constants = {} } = options;
  const isSkipped = readCondition(options.skip);
  const inner = rows === undefined ? null : readSelector(rows);
  // A list of bare values needs no fields.
  const value = fields.value ?? (constants.value === undefined ? '$' : undefined);
  const make = rowMaker({ ...options, fields: value === undefined ? fields : { ...fields, value } });
  const selectors = new Map<string | number, { select: Selector; isOuter: boolean }>();
  for (const selector of [...Object.values(fields), value].flat().filter((one) => one !== undefined)) {
    const isOuter = typeof selector === 'string' && selector.startsWith(OUTER);
    const select = readSelector(isOuter ? selector.slice(OUTER.length) : selector);
    selectors.set(selector, { select, isOuter });
  }
  const isOfBareValues = value === '$';
  const rowsOf = (row: Json, item: Json, bytes: number): Found[] => {
    if (isOfBareValues ? typeof row === 'object' : typeof row !== 'object' || row === null) {
      const detail = isOfBareValues ? 'it is no value, and fields.value names none in it' : 'it is no object';
      return [{ rejection: { reason: 'not-an-object', detail, row: rowText(row) }, bytes }];
    }
    const made = make((selector) => {
      const known = selectors.get(selector);
      return known?.select(known.isOuter ? item : row);
    });
    return made.map((one) => ({ item: one, bytes: bytes / made.length }));
  };
  return (item, bytes) => {
    if (isSkipped(item)) return { found: [], skipped: true };
    if (inner === null) return { found: rowsOf(item, item, bytes), skipped: false };
    const list = inner(item);
    if (!Array.isArray(list) && !isJsonObject(list)) {
      const detail = `it has no list ${rows}`;
      return { found: [{ rejection: { reason: 'not-an-object', detail, row: rowText(item) }, bytes }], skipped: false };
    }
    const members: Json[] = Object.values(list);
    return { found: members.flatMap((row) => rowsOf(row, item, bytes / members.length)), skipped: false };
  };
}

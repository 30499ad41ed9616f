import Type, { type Static } from 'typebox';
import type { FeedRow } from './feed.ts';

/**
 * How the columns of a table, the members of a JSON object or the named groups of an expression become rows: shared by the
 * formats text, csv and json. A selector names one of them: a column, a path, a group.
 */

/** What `fields` and `constants` may set of a row. */
export const rowFields = {
  value: 'value',
  type: 'type',
  confidence: 'confidence',
  first_seen: 'firstSeen',
  last_seen: 'lastSeen',
  valid_from: 'validFrom',
  expires: 'expires',
  revoked: 'revoked',
  id: 'id',
  name: 'name',
  description: 'description',
  labels: 'labels',
  techniques: 'techniques',
  references: 'references',
  tlp: 'tlp',
  port: 'port',
  protocol: 'protocol',
  malware_family: 'malwareFamily',
  source: 'source',
} as const satisfies Record<string, keyof FeedRow>;
export type RowFieldName = keyof typeof rowFields;
const names = Object.keys(rowFields) as RowFieldName[];

const selector = Type.Union([
  Type.String({ minLength: 1, maxLength: 512 }),
  Type.Integer({ minimum: 1, maximum: 1000 }),
]);
const selectors = Type.Union([selector, Type.Array(selector, { minItems: 1, maxItems: 16 })]);
const scalar = Type.Union([Type.String({ maxLength: 4096 }), Type.Number(), Type.Boolean()]);
const eachField = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) =>
  Object.fromEntries(names.map((name) => [name, Type.Optional(schema)])) as {
    [Name in RowFieldName]: ReturnType<typeof Type.Optional<T>>;
  };
const closed = { additionalProperties: false };

export const fieldOptions = {
  fields: Type.Optional(
    Type.Object(eachField(selectors), {
      ...closed,
      description:
        'Where each property of a row stands: a name, or a number counted from 1. A list of them for value gives a row for each that is not empty; for labels, techniques and references it joins them; for others the first that is not empty counts.',
    }),
  ),
  constants: Type.Optional(
    Type.Object(eachField(Type.Union([scalar, Type.Array(scalar, { maxItems: 64 })])), {
      ...closed,
      description: 'What counts where a row does not say it itself. labels are added to those of the row.',
    }),
  ),
  null_words: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      maxItems: 32,
      description: 'Texts that mean that nothing is said, such as None or -.',
    }),
  ),
  words: Type.Optional(
    Type.Object(eachField(Type.Record(Type.String({ maxLength: 256 }), scalar)), {
      ...closed,
      description: 'By property: what a word of the feed means. A word that is not named stays as it is.',
    }),
  ),
  separator: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 8,
      description: 'Between several values in one field. Default: labels are split at commas.',
    }),
  ),
};
const fieldSchema = Type.Object(fieldOptions);
export type FieldOptions = Static<typeof fieldSchema>;

/** Reads what a selector names of one record. Undefined, null and empty text say nothing. */
export type ReadField = (selector: string | number) => unknown;

/** Makes the rows of one record by the options. A record without any value gives one row without a value, which is rejected. */
export type RowMaker = (read: ReadField) => FeedRow[];

const joining = new Set<RowFieldName>(['labels', 'techniques', 'references']);

export function rowMaker({
  fields = {},
  constants = {},
  null_words = [],
  words = {},
  separator,
}: FieldOptions): RowMaker {
  const nothing = new Set<unknown>(null_words);
  const mapped = names.filter((name) => name !== 'value' && (fields[name] ?? constants[name]) !== undefined);
  const valueSelectors = listOf(fields.value ?? []);
  const clean = (value: unknown): unknown => {
    const plain = typeof value === 'string' ? value.trim() : value;
    return plain === '' || plain === null || nothing.has(plain) ? undefined : plain;
  };
  const split = (value: unknown): unknown[] => {
    const parts = separator !== undefined && typeof value === 'string' ? value.split(separator) : listOf(value);
    return parts.map(clean).filter((part) => part !== undefined);
  };
  const meaning = (name: RowFieldName, value: unknown): unknown => {
    const meanings = words[name];
    const word = String(value);
    return meanings !== undefined && Object.hasOwn(meanings, word) ? meanings[word] : value;
  };
  const propertyOf = (name: RowFieldName, read: ReadField): unknown => {
    const found = listOf(fields[name] ?? []).map((one) => clean(read(one)));
    if (!joining.has(name)) {
      const first = found.find((one) => one !== undefined);
      return first === undefined ? constants[name] : meaning(name, first);
    }
    const said = found
      .filter((one) => one !== undefined)
      .flatMap((one) => (name === 'labels' ? labelsIn(one, separator) : split(one)));
    const added = name === 'labels' || said.length === 0 ? listOf(constants[name] ?? []) : [];
    const all = [
      ...said
        .map(clean)
        .filter((one) => one !== undefined)
        .map((one) => meaning(name, one)),
      ...added,
    ];
    return all.length === 0 ? undefined : all;
  };
  return (read) => {
    const common: Partial<FeedRow> = {};
    for (const name of mapped) {
      const property = propertyOf(name, read);
      if (property !== undefined) common[rowFields[name]] = property;
    }
    const values = valueSelectors
      .map((one) => clean(read(one)))
      .filter((one) => one !== undefined)
      .flatMap(split);
    if (values.length === 0) return [{ ...common, value: constants.value }];
    return values.map((value) => ({ ...common, value: meaning('value', value) }));
  };
}

function labelsIn(value: unknown, separator = ','): readonly unknown[] {
  return typeof value === 'string' ? value.split(separator) : listOf(value);
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}

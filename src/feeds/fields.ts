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
const eachOf = <Name extends RowFieldName, T extends Parameters<typeof Type.Optional>[0]>(
  names: readonly Name[],
  schema: T,
) =>
  Object.fromEntries(names.map((name) => [name, Type.Optional(schema)])) as Record<
    Name,
    ReturnType<typeof Type.Optional<T>>
  >;
const eachField = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) => eachOf(names, schema);
/** Properties that hold several values. Their order is that of the docs. */
const separated = ['value', 'labels', 'techniques', 'references'] as const;
const separatorSchema = Type.String({ minLength: 1, maxLength: 8 });
const closed = { additionalProperties: false, 'x-keys': `must be one of ${names.join(', ')}` };

export const fieldOptions = {
  fields: Type.Optional(
    Type.Object(eachField(selectors), {
      ...closed,
      description: `Where each property of a row (${names.join(', ')}) stands: a name, or a number counted from 1. A list of them for value gives a row for each that is not empty; for labels, techniques and references it joins them; for others the first that is not empty counts.`,
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
      description: 'Texts that mean that nothing is said, such as None or -, in any case.',
    }),
  ),
  words: Type.Optional(
    Type.Object(eachField(Type.Record(Type.String({ maxLength: 256 }), scalar)), {
      ...closed,
      description:
        'By property: what a word of the feed means; empty text: nothing. Their case does not count. A word that is not named stays as it is.',
    }),
  ),
  separator: Type.Optional(
    Type.Union([separatorSchema, Type.Object(eachOf(separated, separatorSchema), { additionalProperties: false })], {
      description:
        'Between several values in one field: one for all properties that may hold several (value, labels, techniques, references), or one by property. Default: labels are split at commas.',
    }),
  ),
};
const fieldSchema = Type.Object(fieldOptions);
export type FieldOptions = Static<typeof fieldSchema>;

/** Reads what a selector names of one record. Undefined, null and empty text say nothing. */
export type ReadField = (selector: string | number) => unknown;

/** Makes the rows of one record by the options. A record without any value gives one row without a value, which is rejected. */
export type RowMaker = (read: ReadField) => FeedRow[];

/** All that can be decided before the first record is decided here, because a RowMaker runs for every record. */
export function rowMaker(options: FieldOptions): RowMaker {
  const { fields = {}, constants = {} } = options;
  const properties = names
    .filter((name) => name !== 'value' && (fields[name] ?? constants[name]) !== undefined)
    .map((name) => ({
      property: rowFields[name],
      propertyOf: isSeparated(name) ? joinedReader(name, options) : singleReader(name, options),
    }));
  const valuesOf = listReader('value', options);

  return (read) => {
    const row: FeedRow = { value: constants.value };
    for (const { property, propertyOf } of properties) {
      const said = propertyOf(read);
      if (said !== undefined) row[property] = said;
    }
    const values = valuesOf(read);
    if (values.length > 1) return values.map((value) => ({ ...row, value }));
    if (values.length === 1) row.value = values[0];
    return [row];
  };
}

type SeparatedName = (typeof separated)[number];

function isSeparated(name: RowFieldName): name is SeparatedName {
  return separated.some((one) => one === name);
}

/** The first field that says something, else the constant. */
function singleReader(name: RowFieldName, options: FieldOptions): (read: ReadField) => unknown {
  const selected = listOf(options.fields?.[name] ?? []);
  const constant = options.constants?.[name];
  const meaningOf = meaningReader(name, options);
  return (read) => {
    for (const selector of selected) {
      const said = meaningOf(read(selector));
      if (said !== undefined) return said;
    }
    return constant;
  };
}

/** All that the fields say. Constants are added to labels; for others they count where no field says anything. */
function joinedReader(name: SeparatedName, options: FieldOptions): (read: ReadField) => unknown {
  const constants = listOf<unknown>(options.constants?.[name] ?? []);
  const listed = listReader(name, options);
  return (read) => {
    const said = listed(read);
    if (said.length === 0) return constants.length === 0 ? undefined : constants;
    return name === 'labels' ? [...said, ...constants] : said;
  };
}

/** All that the fields say, in their order: a text is split at the separator, a list counts item by item. */
function listReader(name: SeparatedName, options: FieldOptions): (read: ReadField) => unknown[] {
  const { separator = {} } = options;
  const between =
    typeof separator === 'string' ? separator : (separator[name] ?? (name === 'labels' ? ',' : undefined));
  const selected = listOf(options.fields?.[name] ?? []);
  const meaningOf = meaningReader(name, options);
  return (read) => {
    const found: unknown[] = [];
    const add = (value: unknown): void => {
      const said = meaningOf(value);
      if (said !== undefined) found.push(said);
    };
    for (const selector of selected) {
      const value = read(selector);
      if (typeof value === 'string' && between !== undefined && value.includes(between)) {
        for (const part of value.split(between)) add(part);
      } else if (Array.isArray(value)) value.forEach(add);
      else add(value);
    }
    return found;
  };
}

/** What one value means: text is trimmed, then null words and words apply, in any case. Undefined: it says nothing. */
function meaningReader(name: RowFieldName, { null_words = [], words = {} }: FieldOptions): (value: unknown) => unknown {
  // A Map has no words of its own, as an object has `constructor`. Where both name a word, it means what `words` says.
  const meanings = new Map<string, unknown>([
    ...null_words.map((word): [string, unknown] => [word.trim().toLowerCase(), '']),
    ...Object.entries(words[name] ?? {}).map(([word, meaning]): [string, unknown] => [
      word.trim().toLowerCase(),
      meaning,
    ]),
  ]);
  const longest = Math.max(0, ...[...meanings.keys()].map(({ length }) => length));
  return (value) => {
    const plain = typeof value === 'string' ? value.trim() : (value ?? '');
    if (plain === '') return undefined;
    if (longest === 0 || typeof plain === 'object') return plain;
    const word = String(plain);
    // No longer text is one of the words; lower case would copy it.
    if (word.length > longest) return plain;
    const meaning = meanings.get(word.toLowerCase());
    if (meaning === undefined) return plain;
    return meaning === '' ? undefined : meaning;
  };
}

/** A value, or each of a list of them. */
export function listOf<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}

import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { formatDuration } from '../model/duration.ts';

/** A schema node with the JSON Schema keywords that are read from it, and keywords of Sluice (`x-`). */
export type SchemaNode = TSchema & {
  type?: string;
  description?: string;
  required?: string[] | undefined;
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  anyOf?: SchemaNode[];
  items?: SchemaNode;
  properties?: Record<string, SchemaNode>;
  patternProperties?: Record<string, SchemaNode>;
  additionalProperties?: unknown;
  /** The expected value in words, for messages. */
  'x-expects'?: string;
  /** The same for the keys of a record. */
  'x-keys'?: string;
  /** Not read with the file: feeds and sinks are read one by one. */
  'x-later'?: boolean;
  'x-secret'?: boolean;
  /** A secret of several lines, PEM. */
  'x-pem'?: boolean;
  /** Configured like a secret, but public: a certificate. */
  'x-public'?: boolean;
  'x-duration'?: boolean;
};

const typeWords: Record<string, string> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of keys to values',
};

/** The violations of a schema, one line each. Never quotes the value. */
export function complaintsAbout(schema: SchemaNode, value: unknown): string[] {
  const errors = Value.Errors(schema, value);
  if (errors.length === 0) return [];
  if (schema['x-expects'] !== undefined) return [`must be ${schema['x-expects']}`];
  const allowed = allowedValues(schema);
  if (allowed !== null) return [`must be ${listWords(allowed)}${didYouMean(value, allowed)}`];
  return [...new Set(errors.flatMap((error) => wordsFor(error, schema)))];
}

function wordsFor(error: ReturnType<typeof Value.Errors>[number], schema: SchemaNode): string[] {
  const show = (limit: number | bigint): string =>
    schema['x-duration'] ? formatDuration(Number(limit)) : String(limit);
  switch (error.keyword) {
    case 'required':
      return error.params.requiredProperties.map((name) => `${name} is missing`);
    case 'type':
      return [
        `must be ${[error.params.type]
          .flat()
          .map((type) => typeWords[type] ?? type)
          .join(' or ')}`,
      ];
    case 'minimum':
    case 'maximum':
      return [`must be at ${error.keyword === 'minimum' ? 'least' : 'most'} ${show(error.params.limit)}`];
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return [`must be ${error.params.comparison === '>' ? 'more' : 'less'} than ${show(error.params.limit)}`];
    case 'minLength':
      return [error.params.limit === 1 ? 'must not be empty' : `must have at least ${error.params.limit} characters`];
    case 'maxLength':
      return [`must have at most ${error.params.limit} characters`];
    case 'minItems':
    case 'minProperties':
      return [error.params.limit === 1 ? 'must not be empty' : `must have at least ${error.params.limit} entries`];
    case 'maxItems':
    case 'maxProperties':
      return [`must have at most ${error.params.limit} entries`];
    case 'uniqueItems':
      return ['must not name the same thing twice'];
    case 'pattern':
      return [`must match ${String(error.params.pattern)}`];
    case 'format':
      return [`must be a valid ${error.params.format}`];
    case '~refine':
      return [error.params.message];
    default:
      return ['is not in any of the allowed forms'];
  }
}

function allowedValues(schema: SchemaNode): string[] | null {
  if (schema.enum !== undefined) return schema.enum.map(String);
  if (schema.const !== undefined) return [String(schema.const)];
  if (schema.anyOf?.every((branch) => branch.const !== undefined))
    return schema.anyOf.map((branch) => String(branch.const));
  return null;
}

export function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** `; did you mean port?` when a known name is similar, else empty. Never quotes the given name. */
export function didYouMean(given: unknown, known: readonly string[]): string {
  if (typeof given !== 'string' || given.length > 64) return '';
  const word = given.toLowerCase().replaceAll('-', '_');
  const scored = known
    .map((name) => ({ name, distance: editDistance(word, name.toLowerCase().replaceAll('-', '_')) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(Math.min(name.length, word.length) / 3)));
  const best = scored.toSorted((a, b) => a.distance - b.distance)[0];
  return best === undefined ? '' : `; did you mean ${best.name}?`;
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

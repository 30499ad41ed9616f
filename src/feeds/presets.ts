import { readdirSync, readFileSync } from 'node:fs';
import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { parse } from 'yaml';
import { type Redistribution, redistributions } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject } from '../model/json.ts';

const closed = { additionalProperties: false };
const line = (longest: number) => Type.String({ pattern: `^\\P{Cc}{2,${longest}}$` });
const address = Type.String({ pattern: '^https://\\S{4,500}$' });
const durationText = Type.String({ pattern: '^\\d{1,4}[smhdw]$' });

/** What its publisher says of a feed, for people who choose one. Each fact is from the documents that the file names. */
const factsSchema = Type.Object(
  {
    homepage: address,
    /** Does it need a key, and where is one to be had? */
    key: Type.Enum(['none', 'optional', 'required']),
    key_from: Type.Optional(address),
    /** The publisher's shortest time between two pulls. A shorter `every` needs `override_minimum`. */
    min_every: durationText,
    /** Keys of `feeds.NAME` that each user sets to values of one's own, with examples. */
    asks: Type.Optional(Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), line(300), closed)),
    tags: Type.Array(Type.String({ pattern: '^[a-z0-9-]{2,24}$' }), { minItems: 1, maxItems: 8, uniqueItems: true }),
    /** What one should know before using it. */
    caution: Type.Optional(line(400)),
    /** The day on which the facts were read. */
    read: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
  },
  closed,
);

/** A preset file, `presets/NAME.yaml`: a well-known feed as data. */
const presetSchema = Type.Object(
  {
    /** Whose feed it is and what it takes to read it, in one line for people. */
    title: line(120),
    /** A name in registry.ts. */
    format: Type.String({ pattern: '^[a-z][a-z0-9-]*$' }),
    /** Keys of `feeds.NAME` as the configuration file spells them. The configuration's own keys win. */
    options: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), Type.Unknown(), closed),
    facts: factsSchema,
  },
  closed,
);
export type Preset = Static<typeof presetSchema>;

/** Parses the text of a preset file. Throws `internal`, naming the file, for what the schema refuses. */
export function parsePreset(file: string, text: string): Preset {
  const preset: unknown = parse(text);
  if (Value.Check(presetSchema, preset)) return preset;
  const [error] = Value.Errors(presetSchema, preset);
  throw new GatewayError('internal', `${file}: ${error?.instancePath || 'the preset'} ${error?.message}.`);
}

/**
 * Every preset by its name, which is its file's. A file is parsed when its preset is first asked for: to parse all of them takes 50 ms,
 * and most commands need none.
 */
export const presets: Readonly<Record<string, Preset>> = listPresets(new URL('./presets/', import.meta.url));

function listPresets(directory: URL): Record<string, Preset> {
  const all: Record<string, Preset> = {};
  const names = readdirSync(directory)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length));
  for (const name of names.sort()) {
    const file = `${name}.yaml`;
    let preset: Preset | null = null;
    Object.defineProperty(all, name, {
      enumerable: true,
      get: () => {
        preset ??= parsePreset(file, readFileSync(new URL(file, directory), 'utf8'));
        return preset;
      },
    });
  }
  return all;
}

/** The presets whose name, title or tags hold every one of the words. */
export function findPresets(words: readonly string[]): [string, Preset][] {
  return Object.entries(presets).filter(([name, { title, facts }]) => {
    const text = [name, title, ...facts.tags].join(' ').toLowerCase();
    return words.every((word) => text.includes(word.toLowerCase()));
  });
}

/** Rows of a usual pull, for people; null where it is not known. */
export function usualRows({ options }: Preset): string | null {
  const rows: unknown = options['expect_rows'];
  return isJsonObject(rows) ? `${rows['min']} to ${rows['max']} rows` : null;
}

/** How long its list may stay as it is before it has stalled; undefined where its publisher promises nothing. */
export function promiseOf({ options }: Preset): string | undefined {
  const promise = options['fresh_within'];
  return typeof promise === 'string' ? promise : undefined;
}

/** The credit that its publisher asks for, its terms, and whether its data may be passed on. */
export function termsOf({ options }: Preset): { attribution?: string; terms?: string; redistribution: Redistribution } {
  const { attribution, terms, redistribution } = options;
  return {
    ...(typeof attribution === 'string' ? { attribution } : {}),
    ...(typeof terms === 'string' ? { terms } : {}),
    redistribution: redistributions.find((word) => word === redistribution) ?? 'unknown',
  };
}

/** The lines of a configuration file that use a preset. */
export function presetYaml(name: string, { facts }: Preset): string {
  const variable = `${name.toUpperCase().replaceAll('-', '_')}_KEY`;
  const asked = Object.entries(facts.asks ?? {}).map(([key, example]) => `    ${key}: ${example}`);
  const key = { none: [], optional: [`    # key: { env: ${variable} }`], required: [`    key: { env: ${variable} }`] };
  return ['feeds:', `  ${name}:`, `    preset: ${name}`, ...asked, ...key[facts.key], ''].join('\n');
}

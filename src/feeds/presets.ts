import { readdirSync, readFileSync } from 'node:fs';
import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { parse } from 'yaml';
import { GatewayError } from '../model/error.ts';

/** A preset file, `presets/NAME.yaml`: a well-known feed as data. */
const presetSchema = Type.Object(
  {
    /** Whose feed it is and what it takes to read it, in one line for people. */
    title: Type.String({ pattern: '^\\P{Cc}{5,120}$' }),
    /** A name in registry.ts. */
    format: Type.String({ pattern: '^[a-z][a-z0-9-]*$' }),
    /** Keys of `feeds.NAME` as the configuration file spells them. The configuration's own keys win. */
    options: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), Type.Unknown(), {
      additionalProperties: false,
    }),
  },
  { additionalProperties: false },
);
export type Preset = Static<typeof presetSchema>;

/** Parses the text of a preset file. Throws `internal`, naming the file, for what the schema refuses. */
export function parsePreset(file: string, text: string): Preset {
  const preset: unknown = parse(text);
  if (Value.Check(presetSchema, preset)) return preset;
  const [error] = Value.Errors(presetSchema, preset);
  throw new GatewayError('internal', `${file}: ${error?.instancePath || 'the preset'} ${error?.message}.`);
}

/** Every preset by its name, which is its file's, read once at start. */
export const presets: Record<string, Preset> = readPresets(new URL('./presets/', import.meta.url));

function readPresets(directory: URL): Record<string, Preset> {
  const names = readdirSync(directory)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length));
  return Object.fromEntries(
    names.sort().map((name) => {
      const file = `${name}.yaml`;
      return [name, parsePreset(file, readFileSync(new URL(file, directory), 'utf8'))];
    }),
  );
}

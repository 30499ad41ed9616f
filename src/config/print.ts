import { stringify } from 'yaml';
import { formatDuration } from '../model/duration.ts';
import { Secret } from '../model/secret.ts';
import type { Config } from './config.ts';
import type { ReadFeed } from './feeds.ts';
import type { ReadList } from './lists.ts';
import type { SchemaNode } from './messages.ts';
import { type ConfigFile, fileSchema } from './schema.ts';
import { referenceOf } from './secret.ts';
import type { ReadSink } from './sinks.ts';
import type { ReadStore } from './store.ts';

/**
 * The configuration as it counts, in the file's own words: it could be loaded again in the file's place. Secrets appear as
 * the reference that the file holds, never as themselves.
 */
export function effectiveYaml(
  file: ConfigFile,
  config: Pick<Config, 'listen' | 'data'>,
  later: { store: ReadStore; feeds: readonly ReadFeed[]; sinks: readonly ReadSink[]; lists: readonly ReadList[] },
): string {
  const listen = { ...file.listen, host: config.listen.host, port: config.listen.port };
  const { choice, schema, section } = later.store;
  const store = Object.keys(section).length === 1 ? choice.engine : wordsOf(schema, section);
  const given = { ...file, listen, data: config.data, store };
  const words = wordsOf(fileSchema, given) as Record<string, unknown>;
  const feeds = later.feeds.map(({ definition, section, schema }) => [definition.name, wordsOf(schema, section)]);
  const sinks = later.sinks.map(({ name, section, schema }) => [name, wordsOf(schema, section)]);
  const lists = later.lists.map(({ name, section, schema }) => [name, wordsOf(schema, section)]);
  const whole = {
    ...words,
    feeds: Object.fromEntries(feeds),
    sinks: Object.fromEntries(sinks),
    lists: Object.fromEntries(lists),
  };
  return stringify(whole, { lineWidth: 120, aliasDuplicateObjects: false });
}

/** Turns what readValue made back into what it read. */
function wordsOf(schema: SchemaNode, value: unknown): unknown {
  if (value instanceof Secret) return referenceOf(value) ?? String(value);
  if (schema['x-duration'] && typeof value === 'number') return formatDuration(value);
  if (schema.anyOf !== undefined) return wordsOf(branchOf(schema.anyOf, value), value);
  if (Array.isArray(value)) return value.map((item) => wordsOf(schema.items ?? {}, item));
  if (typeof value !== 'object' || value === null) return value;
  const { properties = {}, patternProperties = {} } = schema;
  const [record = {}] = Object.values(patternProperties);
  // The schema's own order, whatever order defaults and presets came in.
  const keys = [...new Set([...Object.keys(properties), ...Object.keys(value)])];
  const entries = keys.map((key) => [key, (value as Record<string, unknown>)[key]] as const);
  const given = entries.filter(([, item]) => item !== undefined);
  return Object.fromEntries(given.map(([key, item]) => [key, wordsOf(properties[key] ?? record, item)]));
}

function branchOf(branches: SchemaNode[], value: unknown): SchemaNode {
  const form = Array.isArray(value) ? 'array' : typeof value === 'object' ? 'object' : undefined;
  const fitting = branches.filter((branch) =>
    form === undefined ? branch.type !== 'array' && branch.type !== 'object' : branch.type === form,
  );
  return fitting.find((branch) => branch['x-duration']) ?? fitting[0] ?? {};
}

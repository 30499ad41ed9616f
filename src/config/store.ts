import Type from 'typebox';
import type { StoreEngine } from '../store/engine.ts';
import type { Config } from './config.ts';
import { didYouMean, listWords, type SchemaNode } from './messages.ts';
import type { Mark } from './problem.ts';
import { type ReadContext, readValue } from './read-value.ts';
import { DEFAULT_ENGINE } from './schema.ts';
import { type ConfigNode, nodeOf } from './yaml.ts';

/** `store` as it was read: the engine and its options, and the section in the values that `schema` reads. */
export interface ReadStore {
  choice: Config['store'];
  section: Record<string, unknown>;
  schema: SchemaNode;
}

/**
 * Reads `store`: the name of an engine, or a mapping of `engine` and the engine's own keys. Returns null when something is wrong with
 * it, which is reported.
 */
export function readStore(
  given: ConfigNode | undefined,
  engines: Record<string, StoreEngine>,
  context: ReadContext,
): ReadStore | null {
  const path = ['store'];
  const node = given ?? nodeOf(DEFAULT_ENGINE, START);
  if (node.kind === 'broken') return null;
  const section = node.kind === 'map' ? node : nodeOf({ engine: null }, node.at);
  const named = node.kind === 'map' ? node.entries.get('engine')?.node : node;
  const word = named?.kind === 'scalar' ? named.value : null;
  const engine = typeof word === 'string' && Object.hasOwn(engines, word) ? engines[word] : undefined;
  if (engine === undefined) {
    const known = Object.keys(engines);
    const at = node.kind === 'map' ? [...path, 'engine'] : path;
    context.report(named?.at ?? node.at, at, `must be ${listWords(known)}${didYouMean(word, known)}`);
    return null;
  }
  let problems = 0;
  const counting: ReadContext = {
    ...context,
    report: (...problem) => {
      problems += 1;
      context.report(...problem);
    },
  };
  const schema = Type.Object(
    { engine: Type.Optional(Type.Unsafe({ 'x-later': true })), ...engine.options.properties },
    { additionalProperties: false },
  ) as SchemaNode;
  const { engine: _, ...options } = readValue(schema, section, path, counting) as Record<string, unknown>;
  if (problems > 0) return null;
  return { choice: { engine: engine.name, options }, section: { engine: engine.name, ...options }, schema };
}

const START: Mark = { line: 1, column: 1 };

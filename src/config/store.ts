import Type from 'typebox';
import type { StoreEngine } from '../store/engine.ts';
import type { Config } from './config.ts';
import { findExtension, readExtension } from './extension.ts';
import type { SchemaNode } from './messages.ts';
import type { Mark } from './problem.ts';
import type { ReadContext } from './read-value.ts';
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
  const engine = findExtension(named, engines);
  if (typeof engine === 'string') {
    context.report(named?.at ?? node.at, node.kind === 'map' ? [...path, 'engine'] : path, engine);
    return null;
  }
  const read = readExtension({ common: sectionSchema, own: engine.options }, section, path, context);
  if (read === null) return null;
  const { options, schema } = read;
  return { choice: { engine: engine.name, options }, section: { engine: engine.name, ...options }, schema };
}

/** The engine is read before its section, because it decides what else may stand there. */
const sectionSchema = Type.Object({ engine: Type.Optional(Type.Unsafe({ 'x-later': true })) });
const START: Mark = { line: 1, column: 1 };

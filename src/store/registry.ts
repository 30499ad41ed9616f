import { GatewayError } from '../model/error.ts';
import type { Store, StoreDirectories, StoreEngine } from './engine.ts';
import { memory } from './memory/engine.ts';
import { sqlite } from './sqlite/engine.ts';

/** Every storage engine there is, by its name in the configuration. */
export const storeEngines = { sqlite, memory } satisfies Record<string, StoreEngine>;

/** Engines that `serve` can run on, so that a configuration may name them: its threads see what the writing thread commits. */
export const servedEngines = Object.fromEntries(
  Object.entries<StoreEngine>(storeEngines).filter(([, { isSharedByThreads }]) => isSharedByThreads),
);

/** The engine that a configuration names, and its options. */
export interface StoreChoice {
  engine: string;
  options: unknown;
}

/** Returns the store that a configuration describes. Throws `config-invalid` for an engine that there isn't. */
export function storeOf({ store, ...directories }: StoreDirectories & { store: StoreChoice }): Store {
  const engine = new Map<string, StoreEngine>(Object.entries(storeEngines)).get(store.engine);
  if (engine === undefined) throw new GatewayError('config-invalid', `There is no storage engine "${store.engine}".`);
  return engine.at(store.options, directories);
}

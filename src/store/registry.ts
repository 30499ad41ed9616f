import { sqlite } from './sqlite/engine.ts';
import type { StoreEngine } from './store.ts';

/** Every storage engine there is, by its name in the configuration. */
export const storeEngines = { sqlite } satisfies Record<string, StoreEngine>;

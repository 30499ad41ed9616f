import type { ErrorJson } from '../control/error-json.ts';
import type { LoadedFile } from '../load.ts';
import type { Client } from '../model/state.ts';
import type { Backend } from './backend.ts';

/** What the serving thread and the writing thread say to each other. */

/** What the writing thread is started with. */
export interface WriterData extends Pick<LoadedFile, 'path' | 'text' | 'overrides'> {
  /** Of the Commits that readers look at. */
  commits: SharedArrayBuffer;
}

/** A call is answered; a journal that was read is not. */
export type ToWriter = { id: number; method: keyof Backend; args: unknown[] } | { wasRead: string };

export type FromWriter =
  | { event: 'ready' }
  | { event: 'clients'; clients: Client[] }
  | { event: 'result'; id: number; value: unknown }
  | { event: 'failure'; id: number; error: ErrorJson };

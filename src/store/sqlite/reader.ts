import type { Commits } from '../commits.ts';
import type { Reader } from '../store.ts';
import { asStoreError, type Connection, promised, type Sync } from './connection.ts';
import { readFeeds } from './feeds.ts';
import { readJournals } from './journals.ts';
import { readPages } from './pages.ts';
import { readState } from './state.ts';

type Reads = Omit<Reader, 'close' | 'state' | 'fault'>;

/** Everything that can be read; inside a transaction the same functions see what it has written so far. */
export function readAll(connection: Connection): Sync<Reads> {
  return {
    ...readJournals(connection),
    ...readPages(connection),
    ...readFeeds(connection),
    ...readState(connection),
  };
}

/** Each call is one view of what is committed when it begins; none holds it longer. */
export function createReader(connection: Connection, commits?: Commits): Reader {
  const reads = promised<Reads>(readAll(connection), (call) => connection.inOneView(call), commits);
  return {
    ...reads,
    state: () => commits?.state() ?? null,
    fault: () => commits?.fault() ?? null,
    async close() {
      try {
        connection.close();
      } catch (error) {
        throw asStoreError(error);
      }
    },
  };
}

import type { Reader } from '../store.ts';
import { asStoreError, type Connection, promised, type Sync } from './connection.ts';
import { readFeeds } from './feeds.ts';
import { readJournals } from './journals.ts';
import { readPages } from './pages.ts';
import { readState } from './state.ts';

/** Everything that can be read; inside a transaction the same functions see what it has written so far. */
export function readAll(connection: Connection): Sync<Omit<Reader, 'close'>> {
  return {
    ...readJournals(connection),
    ...readPages(connection),
    ...readFeeds(connection),
    ...readState(connection),
  };
}

/** Each call is one view of what is committed when it begins; none holds it longer. */
export function createReader(connection: Connection): Reader {
  return {
    ...promised<Omit<Reader, 'close'>>(readAll(connection), (call) => connection.inOneView(call)),
    async close() {
      try {
        connection.close();
      } catch (error) {
        throw asStoreError(error);
      }
    },
  };
}

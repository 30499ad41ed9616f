import type { PageValidity, Reader } from '../store.ts';
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
  const reader = promised<Omit<Reader, 'close'>>(readAll(connection), (call) => connection.inOneView(call));
  return {
    ...reader,
    validity: keepValidity(connection, reader.validity),
    async close() {
      try {
        connection.close();
      } catch (error) {
        throw asStoreError(error);
      }
    },
  };
}

/** Validities remembered until the next commit. */
const MAX_VALIDITIES = 4096;

/**
 * A page cache asks the same before each page that it sends, far more often than anything is committed. `data_version` tells
 * whether another connection has (https://sqlite.org/pragma.html#pragma_data_version); until then no answer can differ.
 */
function keepValidity(connection: Connection, read: Reader['validity']): Reader['validity'] {
  const kept = new Map<string, PageValidity>();
  let version: number | undefined;
  return async (journal, after, until) => {
    // Looked at before reading: what is committed in between only makes an answer newer than it is taken for.
    const now = dataVersion(connection);
    if (now !== version || kept.size >= MAX_VALIDITIES) kept.clear();
    version = now;
    const question = `${after} ${until} ${journal}`;
    const known = kept.get(question);
    if (known !== undefined) return known;
    const validity = await read(journal, after, until);
    if (version === now) kept.set(question, validity);
    return validity;
  };
}

function dataVersion(connection: Connection): number | undefined {
  try {
    return connection.get<[number]>('PRAGMA data_version')?.[0];
  } catch (error) {
    throw asStoreError(error);
  }
}

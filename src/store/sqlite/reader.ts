import type { PageValidity, Reader } from '../store.ts';
import { ownCommits } from './commits.ts';
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

/** A page cache asks the same before each page that it sends, far more often than anything is committed. */
function keepValidity(connection: Connection, read: Reader['validity']): Reader['validity'] {
  const kept = new Map<string, PageValidity>();
  const committed = watchCommits(connection);
  let state: number | undefined;
  return async (journal, after, until) => {
    // Looked at before reading: what is committed in between only makes an answer newer than it is taken for.
    const now = committed();
    if (now !== state || kept.size >= MAX_VALIDITIES) kept.clear();
    state = now;
    const question = `${after} ${until} ${journal}`;
    const known = kept.get(question);
    if (known !== undefined) return known;
    const validity = await read(journal, after, until);
    if (state === now) kept.set(question, validity);
    return validity;
  };
}

/**
 * A number that changes with every commit. `data_version` tells of those of other connections
 * (https://sqlite.org/pragma.html#pragma_data_version) at the price of two system calls, so it is looked at once in a turn of the
 * event loop: requests that are handled in a turn were sent before it. This thread's own commits are known without a look.
 */
function watchCommits(connection: Connection): () => number {
  let seen = { version: -1, own: -1 };
  let state = 0;
  let isFresh = false;
  return () => {
    const own = ownCommits();
    if (isFresh && own === seen.own) return state;
    if (!isFresh) setImmediate(() => (isFresh = false));
    isFresh = true;
    const version = dataVersion(connection);
    if (version !== seen.version || own !== seen.own) state += 1;
    seen = { version, own };
    return state;
  };
}

function dataVersion(connection: Connection): number {
  try {
    return connection.get<[number]>('PRAGMA data_version')?.[0] ?? Number.NaN;
  } catch (error) {
    throw asStoreError(error);
  }
}

import { eventLoop } from '../../model/turns.ts';
import type { CommitSignal, Reader } from '../store.ts';
import { promised, type Sync } from '../synchronous.ts';
import { readAnalystVerdicts } from './analyst-verdicts.ts';
import { asStoreError, type Connection } from './connection.ts';
import { readContributions } from './contributions.ts';
import { readFeeds } from './feeds.ts';
import { readJournals } from './journals.ts';
import { readPages, type Walks, walkPages } from './pages.ts';
import { readRejections } from './rejections.ts';
import { readState } from './state.ts';
import { readVerdicts } from './verdicts.ts';
import { drain, type Walk } from './walk.ts';

type Reads = Omit<Reader, 'close' | 'state' | 'fault' | 'snapshot'>;
type AtOnce = Omit<Reads, keyof Walks>;

/** Everything that can be read, inside a transaction: it sees what it has written so far, and nothing comes in between. */
export function readAll(connection: Connection): Sync<Reads> {
  const walks = walkPages(connection);
  return {
    ...readAtOnce(connection),
    page: (query) => drain(walks.page(query)),
    visitPage: (query, visit) => drain(walks.visitPage(query, visit)),
    newest: (filter) => drain(walks.newest(filter)),
    live: (query) => drain(walks.live(query)),
    countMatching: (query) => drain(walks.countMatching(query)),
  };
}

function readAtOnce(connection: Connection): Sync<AtOnce> {
  return {
    ...readJournals(connection),
    ...readPages(connection),
    ...readFeeds(connection),
    ...readRejections(connection),
    ...readVerdicts(connection),
    ...readAnalystVerdicts(connection),
    ...readState(connection),
    ...readContributions(connection),
  };
}

/**
 * Each call, and each step of a walk, sees what was committed when it began, and ends that view when it ends. `open` opens the store
 * for reading: once now, and once for each snapshot.
 */
export function createReader(open: () => Connection, signal?: CommitSignal): Reader {
  const connection = open();
  const walks = walkPages(connection);
  /** Takes one step in a turn of the event loop, so that other requests wait for one step at most. */
  const inSteps = async <T>(walk: Walk<T>): Promise<T> => {
    try {
      for (;;) {
        const step = connection.inOneView(() => walk.next());
        if (step.done) return step.value;
        await eventLoop.next();
      }
    } catch (error) {
      throw asStoreError(error, signal);
    }
  };
  return {
    ...promised<AtOnce>(
      readAtOnce(connection),
      (call) => connection.inOneView(call),
      (error) => asStoreError(error, signal),
    ),
    page: (query) => inSteps(walks.page(query)),
    visitPage: (query, visit) => inSteps(walks.visitPage(query, visit)),
    newest: (filter) => inSteps(walks.newest(filter)),
    live: (query) => inSteps(walks.live(query)),
    countMatching: (query) => inSteps(walks.countMatching(query)),
    state: () => signal?.state() ?? null,
    fault: () => signal?.fault() ?? null,
    async snapshot() {
      try {
        return createReader(() => inOneTransaction(open()), signal);
      } catch (error) {
        throw asStoreError(error, signal);
      }
    },
    async close() {
      try {
        connection.close();
      } catch (error) {
        throw asStoreError(error);
      }
    },
  };
}

/** All that it reads from now on is of this moment. */
function inOneTransaction(connection: Connection): Connection {
  connection.db.exec('BEGIN');
  // It is of the moment of its first read.
  connection.get('SELECT count(*) FROM sqlite_schema');
  return connection;
}

import Type from 'typebox';
import type { Clock } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import type { Store, StoreEngine } from '../engine.ts';
import { misuse } from '../misuse.ts';
import type { CommitSignal, Pull, Reader, Transaction, Writer } from '../store.ts';
import { promised, type Sync } from '../synchronous.ts';
import { TransactionQueue } from '../transactions.ts';
import { readAnalystVerdicts, writeAnalystVerdicts } from './analyst-verdicts.ts';
import { readContributions, writeContributions } from './contributions.ts';
import { Database, type View } from './database.ts';
import { readFeeds, writeFeeds } from './feeds.ts';
import { type Reservations, readJournals, writeJournals } from './journals.ts';
import { writeObjects, writeRelations } from './objects.ts';
import { writeEnded, writeObservations } from './observations.ts';
import { readPages } from './pages.ts';
import { MemoryPull } from './pull.ts';
import { writePulls } from './pulls.ts';
import { readRejections, writeRejections } from './rejections.ts';
import { readState, writeState } from './state.ts';
import { readVerdicts, writeVerdicts } from './verdicts.ts';

/** Stores of this thread by their data directories, in which nothing is written. They last as long as the thread. */
const stores = new Map<string, Database>();
const locked = new Set<string>();

/** Plain maps, for tests: what is written is gone with the process, and no other thread sees it. */
export const memory: StoreEngine<Record<string, never>> = {
  name: 'memory',
  title: 'Maps in memory, for tests',
  options: Type.Object({}, { additionalProperties: false }),
  isSharedByThreads: false,
  at: (_options, { data }) => storeNamed(data),
};

function storeNamed(location: string): Store {
  return {
    location,
    exists: async () => stores.has(location),

    async lock() {
      if (locked.has(location)) throw new GatewayError('data-locked', `Somebody else is using ${location}.`);
      locked.add(location);
      return { release: () => void locked.delete(location) };
    },

    async openWriter(clock, signal) {
      const database = stores.get(location) ?? new Database();
      stores.set(location, database);
      return createWriter(database, clock, signal);
    },

    async openReader(signal) {
      const database = stores.get(location);
      if (database === undefined) throw new GatewayError('store-failed', `There is no store in ${location}.`);
      return createReader(database, signal);
    },

    check: async () => null,
  };
}

type Queries = Omit<Reader, 'close' | 'state' | 'fault' | 'snapshot'>;

function readAll({ namespace, cursorSecret }: Database, view: View): Sync<Queries> {
  return {
    ...readJournals(view),
    ...readPages(view),
    ...readFeeds(view),
    ...readRejections(view),
    ...readVerdicts(view),
    ...readAnalystVerdicts(view),
    ...readState(view),
    ...readContributions(view),
    namespace: () => namespace,
    cursorSecret: () => cursorSecret,
  };
}

function createReader(database: Database, signal?: CommitSignal, view: View = database.committed): Reader {
  let isClosed = false;
  const whileOpen = <R>(call: () => R): R => {
    if (isClosed) throw new Error('the store is closed');
    return call();
  };
  return {
    ...promised<Queries>(readAll(database, view), whileOpen, asStoreError),
    state: () => signal?.state() ?? null,
    fault: () => signal?.fault() ?? null,
    snapshot: async () =>
      createReader(
        database,
        signal,
        whileOpen(() => database.copy()),
      ),
    async close() {
      isClosed = true;
    },
  };
}

function createWriter(database: Database, clock: Clock, signal?: CommitSignal): Writer {
  const { tables } = database;
  const reservations: Reservations = new Map();
  const ownPulls = new WeakSet<Pull>();
  const touched = new Set<MemoryPull>();
  const touch = (pull: Pull): MemoryPull => {
    if (!(pull instanceof MemoryPull) || !ownPulls.has(pull))
      throw misuse(`the pull of "${pull.feed}" belongs to another store`);
    touched.add(pull);
    return pull;
  };
  const methods: Sync<Transaction> = {
    ...readAll(database, tables),
    ...writeObservations(database, touch),
    ...writeEnded(database),
    ...writeObjects(database, touch),
    ...writePulls(tables, touch),
    ...writeRelations(database),
    ...writeRejections(database, touch),
    ...writeVerdicts(tables),
    ...writeAnalystVerdicts(database),
    ...writeJournals(tables, clock, reservations),
    ...writeFeeds(tables),
    ...writeState(tables),
    ...writeContributions(tables),
  };
  const transactions = new TransactionQueue({
    methods,
    begin: () => undefined,
    commit() {
      if (signal === undefined) database.end('commit');
      else signal.around(() => database.end('commit'));
    },
    end(outcome) {
      reservations.clear();
      database.end('rollback');
      for (const pull of touched) pull.end(outcome);
      touched.clear();
    },
    asError: asStoreError,
    asFailure: (error) => error,
  });
  const { close: closeReader, ...reads } = createReader(database, signal);
  return {
    ...reads,
    transaction: (work) => transactions.transaction(work),
    async beginPull(feed) {
      const pull = new MemoryPull(feed, database.nextId());
      ownPulls.add(pull);
      return pull;
    },
    async close() {
      await transactions.close();
      await closeReader();
    },
  };
}

function asStoreError(error: unknown): GatewayError {
  return error instanceof GatewayError
    ? error
    : new GatewayError('store-failed', 'The store failed.', { cause: error });
}

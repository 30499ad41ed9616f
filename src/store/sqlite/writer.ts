import { AsyncLocalStorage } from 'node:async_hooks';
import { statfsSync } from 'node:fs';
import type { Clock } from '../../model/clock.ts';
import { Commits } from '../commits.ts';
import type { CommitSignal, Pull, Transaction, Writer } from '../store.ts';
import { asStoreError, type Connection, misuse, promised, type Sync } from './connection.ts';
import { writeEnded } from './ended.ts';
import { writeEntries } from './entries.ts';
import { writeFeeds } from './feeds.ts';
import { type Reservations, writeJournals } from './journals.ts';
import { writeObservations } from './observations.ts';
import { SqlitePull } from './pull.ts';
import { createReader, readAll } from './reader.ts';
import { writeRejections } from './rejections.ts';
import { writeRelations } from './relations.ts';
import { writeState } from './state.ts';
import { RowIds } from './upsert.ts';
import { writeVerdicts } from './verdicts.ts';

/** What lives as long as one transaction. */
interface Scope {
  open: boolean;
  /** The first call that failed. What it left half done must never be committed, even if `work` swallows the error. */
  failure: Error | null;
  readonly pulls: Set<SqlitePull>;
}

/**
 * Transactions run one after the other on `connection`; what the writer reads outside of them comes through `committed`,
 * so it never sees one that is half done.
 */
export function createWriter(
  connection: Connection,
  committed: Connection,
  clock: Clock,
  signal: CommitSignal = new Commits(),
): Writer {
  const reader = createReader(committed, signal);
  const running = new AsyncLocalStorage<Scope>();
  const ids = new RowIds();
  const ownPulls = new WeakSet<Pull>();
  let queue: Promise<unknown> = Promise.resolve();
  let scope: Scope | null = null;
  let closed = false;

  const current = (): Scope => {
    if (scope === null) throw misuse('no transaction is running');
    return scope;
  };

  const touch = (pull: Pull): SqlitePull => {
    if (!ownPulls.has(pull)) throw misuse(`the pull of "${pull.feed}" belongs to another store`);
    const own = pull as SqlitePull;
    current().pulls.add(own);
    own.begin();
    return own;
  };

  // The same functions serve every transaction: their statements are prepared once.
  const reservations: Reservations = new Map();
  const methods: Sync<Transaction> = {
    ...readAll(connection),
    ...writeObservations(connection, ids, touch),
    ...writeEnded(connection),
    ...writeJournals(connection, clock, reservations),
    ...writeEntries(connection, reservations),
    ...writeFeeds(connection),
    ...writeRejections(connection, touch),
    ...writeVerdicts(connection),
    ...writeRelations(connection),
    ...writeState(connection),
  };

  const run = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => {
    connection.db.exec('BEGIN IMMEDIATE');
    const own: Scope = { open: true, failure: null, pulls: new Set() };
    scope = own;
    let outcome: 'commit' | 'rollback' = 'rollback';
    try {
      const result = await running.run(own, () => work(transactionFor(own)));
      if (own.failure !== null) throw own.failure;
      signal.around(() => connection.db.exec('COMMIT'));
      outcome = 'commit';
      if (signal.fault() === 'store-full' && hasRoom(connection)) signal.hasRoom();
      return result;
    } finally {
      own.open = false;
      scope = null;
      reservations.clear();
      for (const pull of own.pulls) pull.end(outcome);
      // A full disk has rolled back already (https://sqlite.org/lang_transaction.html).
      if (connection.db.isTransaction) connection.db.exec('ROLLBACK');
    }
  };

  const transactionFor = (own: Scope): Transaction =>
    promised<Transaction>(
      methods,
      (call) => {
        if (!own.open) throw misuse('the transaction is over');
        try {
          return call();
        } catch (error) {
          own.failure ??= asStoreError(error, signal);
          throw error;
        }
      },
      signal,
    );

  const { close: closeReader, ...reads } = reader;
  return {
    ...reads,

    async transaction(work) {
      if (running.getStore()?.open) throw misuse('transactions do not nest');
      if (closed) throw misuse('the store is closed');
      const turn = queue.then(() => run(work));
      queue = turn.catch(() => {});
      return turn.catch((error) => {
        throw isEngineError(error) ? asStoreError(error, signal) : error;
      });
    },

    async beginPull(feed) {
      const pull = new SqlitePull(feed);
      ownPulls.add(pull);
      return pull;
    },

    async close() {
      if (running.getStore()?.open) throw misuse('a transaction cannot close its store');
      closed = true;
      await queue;
      await closeReader();
      connection.close();
    },
  };
}

/** A log that grows to its bound and the checkpoint after it: with less, the next large batch finds the disk full again. */
const ROOM_BYTES = 64 * 1024 * 1024;

function hasRoom({ db }: Connection): boolean {
  const file = db.location();
  if (file === null) return true;
  const { bavail, bsize } = statfsSync(file);
  return bavail * bsize >= ROOM_BYTES;
}

/** Of SQLite itself, such as a failed BEGIN or COMMIT; what `work` throws passes through. */
function isEngineError(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === 'ERR_SQLITE_ERROR';
}

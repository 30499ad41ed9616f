import { statfsSync } from 'node:fs';
import type { Clock } from '../../model/clock.ts';
import { Commits } from '../commits.ts';
import { misuse } from '../misuse.ts';
import type { CommitSignal, Pull, Transaction, Writer } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import { TransactionQueue } from '../transactions.ts';
import { writeAnalystVerdicts } from './analyst-verdicts.ts';
import { asStoreError, type Connection } from './connection.ts';
import { writeContributions } from './contributions.ts';
import { writeEnded } from './ended.ts';
import { writeEntries } from './entries.ts';
import { writeFeeds } from './feeds.ts';
import { type Reservations, writeJournals } from './journals.ts';
import { writeObjects } from './objects.ts';
import { writeObservations } from './observations.ts';
import { SqlitePull, type Touch } from './pull.ts';
import { writePulls } from './pulls.ts';
import { createReader, readAll } from './reader.ts';
import { writeRejections } from './rejections.ts';
import { writeRelations } from './relations.ts';
import { writeState } from './state.ts';
import { RowIds } from './upsert.ts';
import { writeVerdicts } from './verdicts.ts';

/**
 * Transactions run on `connection`; what the writer reads outside of them comes through another that `open` opens, so it
 * never sees one that is half done.
 */
export function createWriter(
  connection: Connection,
  open: () => Connection,
  clock: Clock,
  signal: CommitSignal = new Commits(),
): Writer {
  const { db } = connection;
  const ids = new RowIds();
  const ownPulls = new WeakSet<Pull>();
  const touched = new Set<SqlitePull>();
  const reservations: Reservations = new Map();

  const touch: Touch = (pull) => {
    if (!(pull instanceof SqlitePull) || !ownPulls.has(pull))
      throw misuse(`the pull of "${pull.feed}" belongs to another store`);
    touched.add(pull);
    pull.begin();
    return pull;
  };

  const methods: Sync<Transaction> = {
    ...readAll(connection),
    ...writeObservations(connection, ids, touch),
    ...writeObjects(connection, ids, touch),
    ...writePulls(connection, touch),
    ...writeEnded(connection),
    ...writeJournals(connection, clock, reservations),
    ...writeEntries(connection, reservations),
    ...writeFeeds(connection),
    ...writeRejections(connection, touch),
    ...writeVerdicts(connection),
    ...writeAnalystVerdicts(connection),
    ...writeRelations(connection),
    ...writeState(connection),
    ...writeContributions(connection),
  };

  const transactions = new TransactionQueue({
    methods,
    begin: () => db.exec('BEGIN IMMEDIATE'),
    commit() {
      signal.around(() => db.exec('COMMIT'));
      if (signal.fault() === 'store-full' && hasRoom(connection)) signal.hasRoom();
    },
    end(outcome) {
      reservations.clear();
      for (const pull of touched) pull.end(outcome);
      touched.clear();
      // A full disk has rolled back already (https://sqlite.org/lang_transaction.html).
      if (db.isTransaction) db.exec('ROLLBACK');
    },
    asError: (error) => asStoreError(error, signal),
    asFailure: (error) => (isEngineError(error) ? asStoreError(error, signal) : error),
  });

  const { close: closeReader, ...reads } = createReader(open, signal);
  return {
    ...reads,

    transaction: (work) => transactions.transaction(work),

    async beginPull(feed) {
      const pull = new SqlitePull(feed);
      ownPulls.add(pull);
      return pull;
    },

    async close() {
      await transactions.close();
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
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
}

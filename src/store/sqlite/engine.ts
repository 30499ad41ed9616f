import { closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayError } from '../../model/error.ts';
import type { StoreEngine } from '../store.ts';
import { checkFile } from './check.ts';
import { asStoreError, Connection, errcodeOf } from './connection.ts';
import { migrate, requireCurrent, requireOurs } from './migrate.ts';
import { createReader } from './reader.ts';
import { createWriter } from './writer.ts';

/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/** The file in the directory that `location` names; `-wal` stands beside it while it is open. */
const FILE = 'sluice.db';

/** SQLite as it is built into Node. `location` is a directory; the writer makes it when it isn't there. */
export const sqlite: StoreEngine = {
  name: 'sqlite',

  exists(location) {
    return existsSync(join(location, FILE));
  },

  async openWriter(location, clock, commits) {
    return opening(location, () => {
      mkdirSync(location, { recursive: true, mode: 0o700 });
      requireNothingLost(location);
      // Made here, because SQLite would make it readable for everybody; -wal and -shm take over its mode.
      // Only where it isn't: closing any handle of a file drops the locks that this process has on it.
      if (!sqlite.exists(location)) closeSync(openSync(join(location, FILE), 'a', 0o600));
      const connection = Connection.openForWriting(join(location, FILE));
      try {
        requireOurs(connection.db);
        requireWal(connection);
        migrate(connection.db);
        return createWriter(connection, openCurrent(location), clock, commits);
      } catch (error) {
        connection.close();
        throw error;
      }
    });
  },

  check: (location, signal) => checkFile(join(location, FILE), signal),

  async openReader(location, commits) {
    return opening(location, () => {
      if (!sqlite.exists(location)) throw new GatewayError('store-failed', `There is no store in ${location}.`);
      return createReader(openCurrent(location), commits);
    });
  },
};

function openCurrent(location: string): Connection {
  const connection = Connection.openForReading(join(location, FILE));
  try {
    requireCurrent(connection.db);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** What stands beside a store, and never without one. */
const TRACES = [`${FILE}-wal`, 'initial.key'];

/**
 * A store that is empty beside traces of an older one was lost: cut off by a full disk, or copied without its log. A new one in
 * its place would withdraw nothing and know no client, and the next copy of the old one would be overwritten.
 */
function requireNothingLost(location: string): void {
  const sizeOf = (name: string): number => statSync(join(location, name), { throwIfNoEntry: false })?.size ?? 0;
  if (sizeOf(FILE) > 0) return;
  const traces = TRACES.filter((name) => sizeOf(name) > 0);
  if (traces.length === 0 || (!sqlite.exists(location) && !traces.includes(`${FILE}-wal`))) return;
  throw new GatewayError(
    'store-damaged',
    `The store in ${location} is empty, but ${traces.join(' and ')} beside it shows that there was one. Restore it from a backup, or remove what is there to begin anew.`,
  );
}

/** Readers beside a writer need the write-ahead log; a file system without shared memory refuses it. */
function requireWal(connection: Connection): void {
  const [mode] = connection.get<[string]>('PRAGMA journal_mode = WAL') ?? [];
  if (mode !== 'wal') throw new GatewayError('store-failed', `The file system of the store allows no WAL (${mode}).`);
}

function opening<T>(location: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    if (errcodeOf(error) === SQLITE_BUSY)
      throw new GatewayError('data-locked', `Another process is using the store in ${location}.`, { cause: error });
    const known = asStoreError(error);
    if (known.code !== 'store-failed')
      throw new GatewayError(known.code, `${known.message} It is in ${location}.`, { cause: error });
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatewayError('store-failed', `The store in ${location} cannot be opened: ${reason}`, { cause: error });
  }
}

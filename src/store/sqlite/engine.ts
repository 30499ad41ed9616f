import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayError } from '../../model/error.ts';
import type { StoreEngine } from '../store.ts';
import { Connection } from './connection.ts';
import { migrate, requireCurrent, requireOurs } from './migrate.ts';
import { createReader } from './reader.ts';
import { createWriter } from './writer.ts';

/** The file in the directory that `location` names; `-wal` and `-shm` stand beside it while it is open. */
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
      // Made here, because SQLite would make it readable for everybody; -wal and -shm take over its mode.
      closeSync(openSync(join(location, FILE), 'a', 0o600));
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
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatewayError('store-failed', `The store in ${location} cannot be opened: ${reason}`, { cause: error });
  }
}

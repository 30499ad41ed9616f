import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { GatewayError } from '../../model/error.ts';
import { makeDirectory } from '../directory.ts';
import type { Store, StoreEngine } from '../engine.ts';
import { checkFile } from './check.ts';
import { asStoreError, Connection, errcodeOf, SQLITE_BUSY } from './connection.ts';
import { lockDirectory } from './lock.ts';
import { migrate, requireCurrent, requireOurs } from './migrate.ts';
import { createReader } from './reader.ts';
import { createWriter } from './writer.ts';

/** The database in its directory; `-wal` stands beside it while it is open. */
const FILE = 'sluice.db';

const options = Type.Object(
  {
    path: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        pattern: '^\\P{Cc}*$',
        description: 'Directory of the database, where it is not the data directory. Relative to this file.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const sqlite: StoreEngine<Static<typeof options>> = {
  name: 'sqlite',
  title: 'SQLite as it is built into Node: one file, `sluice.db`, in the data directory',
  options,
  isSharedByThreads: true,
  at: ({ path }, { base, data }) => storeIn(path === undefined ? data : resolve(base, path)),
};

function storeIn(directory: string): Store {
  const file = join(directory, FILE);
  const exists = (): boolean => existsSync(file);
  return {
    location: directory,

    exists: async () => exists(),

    lock: async () => lockDirectory(directory),

    async openWriter(clock, signal) {
      return opening(directory, () => {
        makeDirectory(directory);
        requireNothingLost(directory);
        // Made here, because SQLite would make it readable for everybody; -wal and -shm take over its mode.
        // Only where it isn't: closing any handle of a file drops the locks that this process has on it.
        if (!exists()) closeSync(openSync(file, 'a', 0o600));
        const connection = Connection.openForWriting(file);
        try {
          requireOurs(connection.db);
          requireWal(connection);
          migrate(connection.db);
          return createWriter(connection, () => openCurrent(file), clock, signal);
        } catch (error) {
          connection.close();
          throw error;
        }
      });
    },

    check: (abort) => checkFile(file, abort),

    async openReader(signal) {
      return opening(directory, () => {
        if (!exists()) throw new GatewayError('store-failed', `There is no store in ${directory}.`);
        return createReader(() => openCurrent(file), signal);
      });
    },
  };
}

function openCurrent(file: string): Connection {
  const connection = Connection.openForReading(file);
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
function requireNothingLost(directory: string): void {
  const statOf = (name: string) => statSync(join(directory, name), { throwIfNoEntry: false });
  const sizeOf = (name: string): number => statOf(name)?.size ?? 0;
  if (sizeOf(FILE) > 0) return;
  const traces = TRACES.filter((name) => sizeOf(name) > 0);
  if (traces.length === 0 || (statOf(FILE) === undefined && !traces.includes(`${FILE}-wal`))) return;
  throw new GatewayError(
    'store-damaged',
    `The store in ${directory} is empty, but ${traces.join(' and ')} beside it shows that there was one. Restore it from a backup, or remove what is there to begin anew.`,
  );
}

/** Readers beside a writer need the write-ahead log; a file system without shared memory refuses it. */
function requireWal(connection: Connection): void {
  const [mode] = connection.get<[string]>('PRAGMA journal_mode = WAL') ?? [];
  if (mode !== 'wal') throw new GatewayError('store-failed', `The file system of the store allows no WAL (${mode}).`);
}

function opening<T>(directory: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    if (errcodeOf(error) === SQLITE_BUSY)
      throw new GatewayError('data-locked', `Another process is using the store in ${directory}.`, { cause: error });
    const known = asStoreError(error);
    if (known.code !== 'store-failed')
      throw new GatewayError(known.code, `${known.message} It is in ${directory}.`, { cause: error });
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatewayError('store-failed', `The store in ${directory} cannot be opened: ${reason}`, { cause: error });
  }
}

import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayError } from './model/error.ts';

export interface DataLock {
  release(): void;
}

/** https://sqlite.org/rescode.html#busy; extended codes carry it in their low byte. */
const SQLITE_BUSY = 5;

/** A handle that nobody holds is collected and closed, and its lock with it: what is locked stays so until it is released. */
const held = new Set<DatabaseSync>();

/**
 * Makes the data directory (0700) and takes the one lock that lets a process write in it. The lock is the operating
 * system's, held by SQLite on an empty file: it ends with the process however that ends, so nothing stale is ever left.
 * Nothing else in this process may open `<dir>/lock`: closing any handle of a file drops a POSIX lock on it.
 * Throws `data-locked` when another holds it, `store-failed` when the directory cannot be used.
 */
export function lockData(dir: string): DataLock {
  let db: DatabaseSync | undefined;
  try {
    makeDirectory(dir);
    db = new DatabaseSync(join(dir, 'lock'), { timeout: 0, allowExtension: false });
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    if (db?.isOpen) db.close();
    const { code, errcode } = error as { code?: string; errcode?: number };
    if (errcode !== undefined && (errcode & 0xff) === SQLITE_BUSY) {
      throw new GatewayError('data-locked', `Another process is using ${dir}.`);
    }
    const why = errcode === undefined ? code : (error as Error).message;
    throw new GatewayError('store-failed', `The data directory ${dir} cannot be used: ${why}.`, { cause: error });
  }
  const own = db;
  held.add(own);
  return {
    release() {
      held.delete(own);
      if (own.isOpen) own.close();
    },
  };
}

/** One level at a time: node's own `recursive` never returns where a directory cannot be made, as below /proc. */
function makeDirectory(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(dir).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(dir) === dir) throw error;
    makeDirectory(dirname(dir));
    mkdirSync(dir, { mode: 0o700 });
  }
}

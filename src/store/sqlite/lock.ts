import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../../model/error.ts';
import { makeDirectory } from '../directory.ts';
import type { StoreLock } from '../engine.ts';
import { errcodeOf, SQLITE_BUSY } from './connection.ts';

/** Handles of held locks. A handle that is referenced nowhere would be collected and closed, and its lock would end. */
const held = new Set<DatabaseSync>();

/**
 * Makes the directory (0700) and takes the one lock that lets a process write in it. The lock is the operating
 * system's, held by SQLite on an empty file: it ends with the process however that ends, so nothing stale is ever left.
 * Nothing else in this process may open `<dir>/lock`: closing any handle of a file drops a POSIX lock on it.
 * Throws `data-locked` when another holds it, `store-failed` when the directory cannot be used.
 */
export function lockDirectory(dir: string): StoreLock {
  makeDirectory(dir);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(join(dir, 'lock'), { timeout: 0, allowExtension: false });
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    if (db?.isOpen) db.close();
    if (errcodeOf(cause) === SQLITE_BUSY) throw new GatewayError('data-locked', `Another process is using ${dir}.`);
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new GatewayError('store-failed', `The data directory ${dir} cannot be used: ${why}.`, { cause });
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

import { randomBytes, randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../../model/error.ts';
import type { Migration } from './migration.ts';
import { first } from './migrations/001-first.ts';
import { rangeKeys } from './migrations/002-range-keys.ts';
import { clientRole } from './migrations/003-client-role.ts';
import { filtered } from './migrations/004-filtered.ts';
import { analystVerdicts } from './migrations/005-analyst-verdicts.ts';
import { contributions } from './migrations/006-contributions.ts';
import { changedAt } from './migrations/007-changed-at.ts';
import { freshUntil } from './migrations/008-fresh-until.ts';
import { pathKey } from './migrations/009-path-key.ts';

/** In order, without a gap. A published one is never edited. */
export const migrations: readonly Migration[] = [
  first,
  rangeKeys,
  clientRole,
  filtered,
  analystVerdicts,
  contributions,
  changedAt,
  freshUntil,
  pathKey,
];

/** "SLUC": tells a store of ours from any other SQLite file (https://sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x534c5543;

/**
 * Brings a store to the newest version, each step in a transaction of its own; a new store is given its identity.
 * Throws GatewayError `store-failed` for a store of a newer version and for a file that is no store.
 */
export function migrate(db: DatabaseSync, steps: readonly Migration[] = migrations): void {
  let version = storeVersion(db, steps);
  for (const step of steps) {
    if (step.version <= version) continue;
    db.exec('BEGIN IMMEDIATE');
    try {
      step.prepare?.(db);
      db.exec(step.sql);
      if (version === 0) giveIdentity(db);
      // PRAGMA takes no parameters; both are integers of our own.
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${step.version}`);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
    version = step.version;
  }
}

/** Throws GatewayError `store-failed` for a file that is no store, or of a newer version; touches nothing. */
export function requireOurs(db: DatabaseSync): void {
  storeVersion(db, migrations);
}

/** Throws GatewayError `store-failed` unless the store is exactly of the version that this program reads. */
export function requireCurrent(db: DatabaseSync): void {
  const version = storeVersion(db, migrations);
  const newest = migrations.length;
  if (version < newest) {
    throw new GatewayError(
      'store-failed',
      `The store is of version ${version} and has to be migrated to ${newest} first.`,
    );
  }
}

function storeVersion(db: DatabaseSync, steps: readonly Migration[]): number {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  const application = Number(db.prepare('PRAGMA application_id').get()?.['application_id']);
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n']);
  const isNew = version === 0 && application === 0 && tables === 0;
  if (!isNew && application !== APPLICATION_ID) {
    throw new GatewayError('store-failed', 'The file in the place of the store belongs to another program.');
  }
  if (version > steps.length) {
    throw new GatewayError(
      'store-failed',
      `The store was written by a newer Sluice (version ${version} of its tables; this one knows ${steps.length}).`,
    );
  }
  return version;
}

function giveIdentity(db: DatabaseSync): void {
  const insert = db.prepare('INSERT INTO meta (name, value) VALUES (?, ?)');
  insert.run('namespace', randomUUID());
  insert.run('cursor_secret', randomBytes(32).toString('hex'));
}

import type { Micros } from '../../model/clock.ts';
import type { AccountState, Client, ClientRole } from '../../model/state.ts';
import { unusedAccount } from '../empty-state.ts';
import { requireLimit } from '../misuse.ts';
import type { Reader, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import { tlpCode, tlpOfCode } from './codes.ts';
import type { Connection } from './connection.ts';

type ReadState = Pick<
  Reader,
  | 'account'
  | 'accounts'
  | 'clients'
  | 'checkpoint'
  | 'checkpoints'
  | 'deadLetters'
  | 'deadLetterCount'
  | 'namespace'
  | 'cursorSecret'
>;
type WriteState = Pick<
  Transaction,
  'saveAccount' | 'saveClient' | 'saveCheckpoint' | 'removeCheckpoint' | 'addDeadLetters' | 'removeDeadLetters'
>;

/** Accounts, clients, sinks: small tables that only remember. */
export function readState(connection: Connection): Sync<ReadState> {
  return {
    account(name) {
      const row = connection.get<[string]>('SELECT state FROM accounts WHERE account = ?', name);
      if (row !== undefined) return JSON.parse(row[0]) as AccountState;
      return unusedAccount(name);
    },

    accounts: () =>
      connection
        .all<[string]>('SELECT state FROM accounts ORDER BY account')
        .map(([state]) => JSON.parse(state) as AccountState),

    clients: () => selectClients(connection),

    checkpoint(sink, scope) {
      const row = connection.get<[Micros, Micros, Micros]>(
        'SELECT date_added, updated_at, renewed_at FROM checkpoints WHERE sink = ? AND view = ?',
        sink,
        scope,
      );
      return row === undefined ? null : { sink, scope, dateAdded: row[0], updatedAt: row[1], renewedAt: row[2] };
    },

    checkpoints: (sink) =>
      connection
        .all<[string, Micros, Micros, Micros]>(
          'SELECT view, date_added, updated_at, renewed_at FROM checkpoints WHERE sink = ? ORDER BY view',
          sink,
        )
        .map(([scope, dateAdded, updatedAt, renewedAt]) => ({ sink, scope, dateAdded, updatedAt, renewedAt })),

    deadLetters: (sink, after, limit) =>
      connection
        .all<[string, Micros, string, string, number, Micros]>(
          `SELECT view, date_added, object_id, reason, attempts, at FROM dead_letters
           WHERE sink = ? AND (view, date_added) > (?, ?) ORDER BY view, date_added LIMIT ?`,
          sink,
          after?.scope ?? '',
          after?.dateAdded ?? 0,
          requireLimit(limit, 0),
        )
        .map(([scope, dateAdded, objectId, reason, attempts, at]) => {
          return { sink, scope, dateAdded, objectId, reason, attempts, at };
        }),

    deadLetterCount: (sink) =>
      connection.get<[number]>('SELECT count(*) FROM dead_letters WHERE sink = ?', sink)?.[0] ?? 0,

    namespace: () => readMeta(connection, 'namespace'),
    cursorSecret: () => readMeta(connection, 'cursor_secret'),
  };
}

export function writeState(connection: Connection): Sync<WriteState> {
  return {
    saveAccount(state) {
      connection.run(
        'INSERT INTO accounts VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET state = excluded.state',
        state.account,
        JSON.stringify(state),
      );
    },

    saveClient(client) {
      connection.run(
        'INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        client.name,
        client.collections === null ? null : JSON.stringify(client.collections),
        tlpCode(client.tlp),
        client.rate.max,
        client.rate.per,
        client.createdAt,
        client.revokedAt,
        client.role,
        JSON.stringify(client.writes),
        client.pathKey ? 1 : 0,
      );
      connection.run('DELETE FROM client_keys WHERE client = ?', client.name);
      for (const hash of new Set(client.keyHashes)) {
        // Plain INSERT: a key that another client has must fail, never change hands.
        connection.run('INSERT INTO client_keys VALUES (unhex(?), ?)', hash, client.name);
      }
      connection.run('DELETE FROM client_certificates WHERE client = ?', client.name);
      for (const fingerprint of new Set(client.certificates)) {
        connection.run('INSERT INTO client_certificates VALUES (?, unhex(?))', client.name, fingerprint);
      }
    },

    saveCheckpoint({ sink, scope, dateAdded, updatedAt, renewedAt }) {
      const insert = 'INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)';
      connection.run(insert, sink, scope, dateAdded, updatedAt, renewedAt);
    },

    removeCheckpoint(sink, scope) {
      connection.run('DELETE FROM checkpoints WHERE sink = ? AND view = ?', sink, scope);
    },

    addDeadLetters(letters) {
      for (const { sink, scope, dateAdded, objectId, reason, attempts, at } of letters) {
        connection.run(
          'INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)',
          sink,
          scope,
          dateAdded,
          objectId,
          reason,
          attempts,
          at,
        );
      }
    },

    removeDeadLetters(sink, letters) {
      for (const { scope, dateAdded } of letters) {
        connection.run(
          'DELETE FROM dead_letters WHERE sink = ? AND view = ? AND date_added = ?',
          sink,
          scope,
          dateAdded,
        );
      }
    },
  };
}

function selectClients(connection: Connection): Client[] {
  const listOf = (sql: string): Map<string, string[]> => {
    const lists = new Map<string, string[]>();
    for (const [client, hash] of connection.all<[string, string]>(sql)) {
      lists.set(client, [...(lists.get(client) ?? []), hash]);
    }
    return lists;
  };
  const keys = listOf('SELECT client, lower(hex(hash)) FROM client_keys ORDER BY hash');
  const certificates = listOf('SELECT client, lower(hex(fingerprint)) FROM client_certificates ORDER BY fingerprint');
  return connection
    .all<[string, string | null, number, number, number, Micros, Micros | null, ClientRole, string, number]>(
      'SELECT * FROM clients ORDER BY name',
    )
    .map(([name, collections, tlp, max, per, createdAt, revokedAt, role, writes, pathKey]) => ({
      name,
      role,
      collections: collections === null ? null : (JSON.parse(collections) as string[]),
      writes: JSON.parse(writes) as string[],
      tlp: tlpOfCode(tlp),
      rate: { max, per },
      createdAt,
      revokedAt,
      keyHashes: keys.get(name) ?? [],
      certificates: certificates.get(name) ?? [],
      pathKey: pathKey === 1,
    }));
}

function readMeta(connection: Connection, name: string): string {
  const row = connection.get<[string]>('SELECT value FROM meta WHERE name = ?', name);
  if (row === undefined) throw new Error(`meta has no ${name}`);
  return row[0];
}

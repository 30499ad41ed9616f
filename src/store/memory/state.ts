import type { DeadLetter } from '../../model/state.ts';
import type { AccountReader, AccountWriter } from '../contract/accounts.ts';
import type { CheckpointReader, CheckpointWriter } from '../contract/checkpoints.ts';
import type { ClientReader, ClientWriter } from '../contract/clients.ts';
import { unusedAccount } from '../empty-state.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { View, WritableTables } from './database.ts';
import { keyOf, matching } from './table.ts';

/** Accounts, clients, sinks: small tables that only remember. */
export function readState(view: View): Sync<AccountReader & ClientReader & CheckpointReader> {
  return {
    account: (name) => view.accounts.get(name) ?? unusedAccount(name),
    accounts: () => [...view.accounts.values()].sort(by(({ account }) => account)),
    clients: () => [...view.clients.values()].sort(by(({ name }) => name)),
    checkpoint: (sink, scope) => view.checkpoints.get(keyOf(sink, scope)) ?? null,
    checkpoints: (sink) => matching(view.checkpoints, (row) => row.sink === sink).sort(by(({ scope }) => scope)),

    deadLetters(sink, after, limit) {
      requireLimit(limit, 0);
      return matching(view.deadLetters, (row) => row.sink === sink && (after === null || order(row, after) > 0))
        .sort(order)
        .slice(0, limit);
    },

    deadLetterCount: (sink) => matching(view.deadLetters, (row) => row.sink === sink).length,
  };
}

export function writeState(tables: WritableTables): Sync<AccountWriter & ClientWriter & CheckpointWriter> {
  return {
    saveAccount: (state) => tables.accounts.set(state.account, structuredClone(state)),

    saveClient(client) {
      const keyHashes = [...new Set(client.keyHashes)].sort();
      for (const other of tables.clients.values()) {
        if (other.name !== client.name && other.keyHashes.some((hash) => keyHashes.includes(hash)))
          throw new Error(`a key of "${client.name}" is that of "${other.name}"`);
      }
      const certificates = [...new Set(client.certificates)].sort();
      if (![...keyHashes, ...certificates].every((hash) => SHA256.test(hash))) throw new Error('not a SHA-256');
      tables.clients.set(client.name, { ...structuredClone(client), keyHashes, certificates });
    },

    saveCheckpoint: (checkpoint) => tables.checkpoints.set(keyOf(checkpoint.sink, checkpoint.scope), { ...checkpoint }),
    removeCheckpoint: (sink, scope) => tables.checkpoints.delete(keyOf(sink, scope)),

    addDeadLetters(letters) {
      for (const letter of letters) tables.deadLetters.set(nameOf(letter.sink, letter), { ...letter });
    },

    removeDeadLetters(sink, letters) {
      for (const letter of letters) tables.deadLetters.delete(nameOf(sink, letter));
    },
  };
}

const SHA256 = /^[0-9a-f]{64}$/;

type Place = Pick<DeadLetter, 'scope' | 'dateAdded'>;

function nameOf(sink: string, { scope, dateAdded }: Place): string {
  return keyOf(sink, scope, dateAdded);
}

function order(a: Place, b: Place): number {
  return a.scope < b.scope ? -1 : a.scope > b.scope ? 1 : a.dateAdded - b.dateAdded;
}

function by<T>(nameOfRow: (row: T) => string): (a: T, b: T) => number {
  return (a, b) => (nameOfRow(a) < nameOfRow(b) ? -1 : 1);
}

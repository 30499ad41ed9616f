import type { Clock, Micros } from '../../model/clock.ts';
import { misuse } from '../misuse.ts';
import type { Journal, Reader, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';

export interface JournalRow extends Journal {
  id: number;
  /** The last date ever given out, used or not. */
  stamped: Micros;
}

/**
 * Microseconds between two dates. Two or more apart, no millisecond can hold more than 500
 * (MAX_DATES_PER_MILLISECOND in limits.ts), whatever was given out before.
 */
const STEP: Micros = 2;

/** Dates given out by `stamp` in one transaction: only these may be appended, and only there. */
export type Reservations = Map<number, Micros>;

export function readJournals(connection: Connection): Sync<Pick<Reader, 'journals'>> {
  return {
    journals: () => selectJournals(connection, 'ORDER BY name').map(toJournal),
  };
}

export function findJournal(connection: Connection, name: string): JournalRow | undefined {
  return selectJournals(connection, 'WHERE name = ?', name)[0];
}

/** Throws for a journal that nobody opened: writing into the void is a fault of the caller. */
export function requireJournal(connection: Connection, name: string): JournalRow {
  const journal = findJournal(connection, name);
  if (journal === undefined) throw misuse(`there is no journal "${name}"`);
  return journal;
}

export function writeJournals(
  connection: Connection,
  clock: Clock,
  reservations: Reservations,
): Sync<Pick<Transaction, 'openJournal' | 'setPolicyHash' | 'stamp'>> {
  return {
    openJournal({ name, pool, keepVersions }) {
      connection.run(
        'INSERT INTO journals (name, pool, keep_versions) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING',
        name,
        pool,
        keepVersions,
      );
      return toJournal(requireJournal(connection, name));
    },

    setPolicyHash(name, hash) {
      connection.run('UPDATE journals SET policy_hash = ? WHERE id = ?', hash, requireJournal(connection, name).id);
    },

    stamp(name, count) {
      const journal = requireJournal(connection, name);
      if (!Number.isSafeInteger(count) || count < 0) throw misuse(`${count} dates cannot be stamped`);
      if (count === 0) return [];
      // A batch is dated so that it ends now. Only when the last dates lie too close to now, or ahead of it because the
      // clock was set back, does it reach beyond: dates that rise are worth more than dates that are right.
      const first = Math.max(journal.stamped + STEP, clock.now() - (count - 1) * STEP);
      const dates = Array.from({ length: count }, (_, i) => first + i * STEP);
      connection.run('UPDATE journals SET stamped = ? WHERE id = ?', first + (count - 1) * STEP, journal.id);
      if (!reservations.has(journal.id)) reservations.set(journal.id, first);
      return dates;
    },
  };
}

function selectJournals(connection: Connection, clause: string, ...values: string[]): JournalRow[] {
  const rows = connection.all<[number, string, string, 'last' | 'all', string | null, Micros | null, Micros]>(
    `SELECT id, name, pool, keep_versions, policy_hash, head, stamped FROM journals ${clause}`,
    ...values,
  );
  return rows.map(([id, name, pool, keepVersions, policyHash, head, stamped]) => ({
    id,
    name,
    pool,
    keepVersions,
    policyHash,
    head,
    stamped,
  }));
}

function toJournal({ name, pool, head, policyHash, keepVersions }: JournalRow): Journal {
  return { name, pool, head, policyHash, keepVersions };
}

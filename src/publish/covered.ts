import type { JournalDefinition } from '../model/definition.ts';
import { type ObservableKey, observableKey } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import type { Published } from './changes.ts';
import type { Journals } from './journals.ts';
import { republish } from './review.ts';

/** What entries of lists cover (src/suppress/covering.ts), found in the store. */

/** More changed entries than these are not looked up one by one. */
export const MOST_ENTRIES = 1000;

/** What entries cover that came into a list or left it is decided again, and nothing else is looked at. */
export async function republishCovered(
  journals: Journals,
  definition: JournalDefinition,
  entries: Iterable<string>,
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  for (const entry of entries) {
    const next = (tx: Transaction, after: ObservableKey | null, limit: number) =>
      keysCoveredBy(tx, entry, after, limit);
    await republish(journals, definition, next, signal, published);
  }
}

/** Keys of what an entry covers, ascending, strictly after `after`, up to `limit`. */
function keysCoveredBy(
  tx: Transaction,
  entry: string,
  after: ObservableKey | null,
  limit: number,
): Promise<ObservableKey[]> {
  if (entry.includes('://')) return Promise.resolve(exactly('url', entry, after));
  if (entry.includes('@')) return Promise.resolve(exactly('email', entry, after));
  if (entry.includes(':') || /^[\d./]+$/.test(entry)) return tx.keysWithin(entry, after, limit);
  const hash = hashTypes[entry.length];
  if (hash !== undefined && !entry.includes('.')) return Promise.resolve(exactly(hash, entry, after));
  return tx.keysUnder(entry, after, limit);
}

const hashTypes: Readonly<Record<number, 'md5' | 'sha1' | 'sha256' | 'sha512'>> = {
  32: 'md5',
  40: 'sha1',
  64: 'sha256',
  128: 'sha512',
};

function exactly(
  type: 'url' | 'email' | 'md5' | 'sha1' | 'sha256' | 'sha512',
  value: string,
  after: ObservableKey | null,
): ObservableKey[] {
  return after === null ? [observableKey({ type, value })] : [];
}

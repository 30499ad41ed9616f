import type { JournalPolicy } from '../model/definition.ts';
import { type ObservableKey, observableKey } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import type { Views } from './collection-views.ts';

/** The policy and the views that a journal was last brought up to date with, as one text that the store keeps. */
export interface SealedPolicy {
  /** Of all that defines what the journal holds; null: it was never brought up to date. */
  hash: string | null;
  views: Views;
  /** Null in a text of an earlier version. */
  lists: SealedLists | null;
}

/** An operator's lists, entry by entry, so that a changed one tells what it concerns. */
export interface SealedLists {
  /** Hash of all but the lists. */
  rest: string;
  suppress: readonly string[];
  admit: readonly string[];
}

export function sealPolicy({ hash, views, lists }: SealedPolicy): string {
  return `${hash} ${JSON.stringify(views)}\n${JSON.stringify(lists)}`;
}

/** Set before the text while entries of a suppress feed have changed and what they cover is not published again. */
const BEHIND = 'behind ';

export function isBehind(text: string): boolean {
  return text.startsWith(BEHIND);
}

export function markBehind(text: string): string {
  return BEHIND + text;
}

export function unmarkBehind(text: string): string {
  return text.slice(BEHIND.length);
}

/** Reads the text that `sealPolicy` made. Of a journal that is behind, nothing stands but its views. */
export function openPolicy(text: string | null): SealedPolicy {
  if (text !== null && isBehind(text)) {
    return { hash: BEHIND, views: openPolicy(unmarkBehind(text)).views, lists: null };
  }
  const [first = '', second] = text?.split('\n') ?? [];
  const [hash = '', ...views] = first.split(' ');
  return {
    hash: hash === '' ? null : hash,
    views: views.length === 0 ? {} : JSON.parse(views.join(' ')),
    lists: second === undefined ? null : JSON.parse(second),
  };
}

/** More changed entries than these are not looked up one by one. */
const MOST_ENTRIES = 1000;

/** The entries that were added to the lists or taken out, where that is all that changed in a policy; null: something else did. */
export function changedEntries(
  before: SealedLists | null,
  now: SealedLists,
  { expandCidr }: JournalPolicy,
): string[] | null {
  // An address of a network that is expanded is not found by its own range.
  if (before === null || before.rest !== now.rest || expandCidr !== null) return null;
  const changed = [...differing(before.suppress, now.suppress), ...differing(before.admit, now.admit)];
  return changed.length > MOST_ENTRIES ? null : [...new Set(changed)];
}

function differing(before: readonly string[], now: readonly string[]): string[] {
  const [held, wanted] = [new Set(before), new Set(now)];
  return [...before.filter((entry) => !wanted.has(entry)), ...now.filter((entry) => !held.has(entry))];
}

/** Keys of what an entry covers, ascending, strictly after `after`, up to `limit`. */
export function keysCoveredBy(
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

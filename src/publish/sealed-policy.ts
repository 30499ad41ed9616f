import type { JournalPolicy } from '../model/definition.ts';
import type { Views } from './collection-views.ts';
import { MOST_ENTRIES } from './covered.ts';

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

import type { Observable } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import type { Changes, Published } from './changes.ts';
import { MOST_ENTRIES, republishCovered } from './covered.ts';
import type { Journals } from './journals.ts';
import { republishFeeds } from './review.ts';
import { isBehind, markBehind, unmarkBehind } from './sealed-policy.ts';

/**
 * What changed entries of a suppress feed cover is published again in the journals that it suppresses in. The commit that changes an
 * entry marks these journals, so that a start brings a journal up to date whose process ended before.
 */

/** Notes changes of a feed, and marks the journals that they concern. */
export async function noteSuppressFeed(
  tx: Transaction,
  journals: Journals,
  feed: string,
  { keys, latest, gone = [] }: Changes,
): Promise<void> {
  if (keys.length === 0) return;
  for (const definition of journals.suppressedBy(feed)) {
    const { policyHash } = await tx.openJournal(definition);
    // One that was never brought up to date will be, wholly.
    if (policyHash !== null && !isBehind(policyHash)) await tx.setPolicyHash(definition.name, markBehind(policyHash));
  }
  const known = new Map(gone.map((one) => [one.value, one]));
  for (const one of latest?.observations.values() ?? [])
    if (one !== null) known.set(one.observable.value, one.observable);
  const before = journals.changedEntries.get(feed);
  const all =
    before === null || known.size < keys.length ? null : new Map<string, Observable>([...(before ?? []), ...known]);
  journals.changedEntries.set(feed, all !== null && all.size > MOST_ENTRIES ? null : all);
}

/** Publishes again what the noted changes of a feed cover. Cut off, it is done after the next good poll or at the next start. */
export async function followSuppressFeed(
  journals: Journals,
  feed: string,
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  const entries = journals.changedEntries.get(feed);
  if (entries === undefined) return;
  const { writer } = journals.parts;
  for (const definition of journals.suppressedBy(feed)) {
    // An address of a network that is expanded is not found by its own range.
    if (entries === null || definition.policy.expandCidr !== null) {
      const feeds = journals.feedsOf(definition).map(({ name }) => name);
      await republishFeeds(journals, definition, feeds, signal, published);
      continue;
    }
    const values = Array.from(entries.values(), ({ value }) => value);
    await republishCovered(journals, definition, values, signal, published);
  }
  // No other poll of the feed runs meanwhile.
  journals.changedEntries.delete(feed);
  for (const definition of journals.suppressedBy(feed)) {
    const { suppressFeeds = [] } = definition.policy;
    if (suppressFeeds.some((other) => journals.changedEntries.has(other))) continue;
    await writer.transaction(async (tx) => {
      const { policyHash } = await tx.openJournal(definition);
      if (policyHash !== null && isBehind(policyHash))
        await tx.setPolicyHash(definition.name, unmarkBehind(policyHash));
    });
  }
}

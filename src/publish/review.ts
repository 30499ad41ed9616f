import type { FeedDefinition, JournalDefinition } from '../model/definition.ts';
import { unreadSince } from '../model/freshness.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import { addPublished, type Published } from './changes.ts';
import type { Journals } from './journals.ts';
import { publish } from './publish.ts';
import { walk } from './walk.ts';

/** Keys brought up to date per transaction. */
const SLICE = 10_000;
/** The same where each key may be a network of up to 1024 addresses. */
const EXPANDED_SLICE = 250;

/**
 * After a good poll: if a lifetime of the feed ended or was held since the poll before, decides again about all that the feed
 * says. What the poll has confirmed comes back or stays, and the rest ends. A review that is cut off is done again.
 */
export async function review(
  journals: Journals,
  { name }: FeedDefinition,
  signal: AbortSignal,
  published: Published = { entries: 0, withdrawn: 0 },
): Promise<void> {
  const { writer } = journals.parts;
  const { lapsedAt } = await writer.feedState(name);
  if (lapsedAt === null) return;
  for (const definition of journals.ofFeed(name)) {
    await republishFeeds(journals, definition, [name], signal, published);
  }
  await writer.transaction(async (tx) => {
    // Another lifetime may have ended meanwhile.
    if ((await tx.feedState(name)).lapsedAt === lapsedAt) await tx.saveFeedState(name, { lapsedAt: null });
  });
}

/** Was the feed read after a lifetime of its rows had ended or been held, without a review since? */
export async function isReviewDue(journals: Journals, { name, every }: FeedDefinition): Promise<boolean> {
  const { writer, clock } = journals.parts;
  const state = await writer.feedState(name);
  return state.lapsedAt !== null && !journals.isIdle(name) && unreadSince(state, every, clock.now()) === null;
}

/** Brings a journal up to all that these feeds say. */
export async function republishFeeds(
  journals: Journals,
  definition: JournalDefinition,
  feeds: readonly string[],
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  const next = (tx: Transaction, after: ObservableKey | null, limit: number) => tx.observedKeys(feeds, after, limit);
  await republish(journals, definition, next, signal, published);
}

/** Brings a journal up to date with all observables that `next` walks, a transaction per slice. */
export async function republish(
  journals: Journals,
  definition: JournalDefinition,
  next: (tx: Transaction, after: ObservableKey | null, limit: number) => Promise<ObservableKey[]>,
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  const { writer, clock } = journals.parts;
  const limit = definition.policy.expandCidr === null ? SLICE : EXPANDED_SLICE;
  await walk(signal, (after: ObservableKey | null) =>
    writer.transaction(async (tx) => {
      const now = clock.now();
      const keys = await next(tx, after, limit);
      const contexts = [await journals.context(tx, definition, now)];
      addPublished(published, await publish(tx, contexts, { keys, objects: [] }, now));
      return keys.at(-1) ?? null;
    }),
  );
}

import { BATCH_ROWS } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import { type Changes, changesOf, withdrawalsOf } from '../publish/changes.ts';
import type { Pull, Transaction } from '../store/store.ts';
import { forgetUnsaid } from './ended-versions.ts';
import { bearersOf, isMarking } from './markings.ts';
import type { FeedPull } from './pull.ts';

/** Rows taken out per store call. */
const SLICE = BATCH_ROWS;

/**
 * Takes out what a whole snapshot no longer holds, and yields it slice by slice so that journals withdraw it: observations, objects,
 * versions in which objects ended, rejections. `isKnown`: what vanished must be known by more than its
 * key, for a journal of the feed expands networks or the feed suppresses.
 */
export async function* removeVanished(
  tx: Transaction,
  pull: FeedPull,
  isKnown: boolean,
  now: Micros,
): AsyncGenerator<Changes> {
  const { feed, mark } = pull;
  await forgetUnsaid(tx, pull, now);
  if (isKnown) yield* removeKnown(tx, feed, mark);
  for (;;) {
    const keys = await tx.removeUnseen(mark, SLICE);
    if (keys.length === 0) break;
    yield changesOf(feed.name, new Map(keys.map((key) => [key, null])));
  }
  for (;;) {
    const ids = await tx.removeUnseenObjects(mark, SLICE);
    if (ids.length === 0) break;
    yield { keys: [], objects: ids };
    yield* bearersOf(tx, feed, ids.filter(isMarking));
  }
  await tx.forgetRejections(mark);
}

/** Takes out vanished observations, which are read before they go. */
async function* removeKnown(tx: Transaction, feed: FeedDefinition, mark: Pull): AsyncGenerator<Changes> {
  let after: ObservableKey | null = null;
  do {
    const keys: ObservableKey[] = await tx.observedKeys([feed.name], after, SLICE);
    const seen = await tx.seenKeys(mark, keys);
    const unseen = keys.filter((key) => !seen.has(key));
    const gone = await tx.observations([feed.name], unseen);
    if (gone.length > 0) {
      // It takes them in the order of their keys as well, so these are the ones that leave.
      await tx.removeUnseen(mark, gone.length);
      yield withdrawalsOf(feed.name, gone);
    }
    after = keys.at(-1) ?? null;
  } while (after !== null);
}

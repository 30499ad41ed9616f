import type { FeedDefinition } from '../model/definition.ts';
import type { FeedState } from '../model/state.ts';
import type { Pull, Transaction } from '../store/store.ts';

/** What became of the rows of a pull, or of a batch of it. */
export interface Tally {
  /** Rows that the upstream sent. */
  read: number;
  /** What they became beyond one each. */
  split: number;
  /** Observations and objects that were made of them. */
  taken: number;
  /** Rows that were not taken. */
  refused: number;
  /** Of these, the ones that this pull refused for the first time. */
  first: number;
}

export const NO_ROWS: Tally = { read: 0, split: 0, taken: 0, refused: 0, first: 0 };

export function sumOf(a: Tally, b: Tally): Tally {
  return {
    read: a.read + b.read,
    split: a.split + b.split,
    taken: a.taken + b.taken,
    refused: a.refused + b.refused,
    first: a.first + b.first,
  };
}

/** What is known of a batch when its rows were kept, and before those that vanished were taken out. */
export interface BatchTally {
  /** The feed's state before the batch. */
  before: FeedState;
  batch: Tally;
  /** Rows that were refused for the first time ever. */
  added: number;
}

/**
 * Keeps the account of a feed's rows (model/state.ts) as it stands after a batch. A delta feed's goes on with every batch. A
 * snapshot's is of the last whole pull: until the next is whole, what its batches add counts as read beside it.
 */
export async function keepTally(
  tx: Transaction,
  { name, mode }: FeedDefinition,
  { before, batch, added }: BatchTally,
): Promise<void> {
  const { read, split, folded } = before;
  const inserted = heldOf(await tx.feedState(name)) - heldOf(before);
  await tx.saveFeedState(
    name,
    mode === 'snapshot'
      ? { read: read + inserted + added }
      : {
          read: read + batch.read,
          split: split + batch.split,
          folded: folded + (batch.taken - inserted) + (batch.refused - added),
        },
  );
}

/** The account of a snapshot that was read whole; what it no longer holds is gone by now, what it refused earlier forgotten. */
export async function closeTally(tx: Transaction, feed: string, pull: Pull, tally: Tally): Promise<void> {
  const marked = await tx.marked(pull);
  const { read, split, taken, refused, first } = tally;
  await tx.forgetRejections(pull);
  await tx.saveFeedState(feed, { read, split, folded: taken - marked + (refused - first), gone: 0 });
}

function heldOf({ observations, objects }: FeedState): number {
  return observations + objects;
}

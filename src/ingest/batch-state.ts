import type { FeedMode } from '../model/definition.ts';
import type { FeedState } from '../model/state.ts';
import type { Pull, Transaction } from '../store/store.ts';
import type { BatchPart } from './batch-rows.ts';

/** What became of the rows of a pull, or of a batch of it. */
export interface Counters {
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

export const NO_ROWS: Counters = { read: 0, split: 0, taken: 0, refused: 0, first: 0 };

/** `first`: rows that this pull refused for the first time. */
export function countersOf({ rows, batch }: BatchPart, first: number): Counters {
  const unread = batch.rejected.filter(({ isNote }) => isNote !== true).length;
  const made = rows.observations.length + rows.objects.length;
  return {
    read: rows.accepted + rows.refused + unread,
    // Fewer than one each would be a loss: that must not add up.
    split: Math.max(0, made - rows.accepted),
    taken: made,
    refused: unread + rows.refused,
    first,
  };
}

export function sumOf(a: Counters, b: Counters): Counters {
  return {
    read: a.read + b.read,
    split: a.split + b.split,
    taken: a.taken + b.taken,
    refused: a.refused + b.refused,
    first: a.first + b.first,
  };
}

export function heldIn({ observations, objects }: FeedState): number {
  return observations + objects;
}

type StateCounters = Partial<Pick<FeedState, 'read' | 'split' | 'folded' | 'gone'>>;

/**
 * The account of a feed's rows (model/state.ts) after a batch. That of a delta feed goes on with every batch. That of a snapshot
 * is of the last whole pull: until the next is whole, what its batches add counts as read beside it.
 *
 * `inserted`: rows held more than before the batch. `added`: rows that were refused for the first time ever.
 */
export function countersAfterBatch(
  mode: FeedMode,
  { read, split, folded }: FeedState,
  batch: Counters,
  inserted: number,
  added: number,
): StateCounters {
  if (mode === 'snapshot') return { read: read + inserted + added };
  return {
    read: read + batch.read,
    split: split + batch.split,
    folded: folded + (batch.taken - inserted) + (batch.refused - added),
  };
}

/** The account of a snapshot that was read whole, after what vanished was taken out. */
export async function countersOfWhole(tx: Transaction, pull: Pull, counters: Counters): Promise<StateCounters> {
  const { read, split, taken, refused, first } = counters;
  return { read, split, folded: taken - (await tx.marked(pull)) + (refused - first), gone: 0 };
}

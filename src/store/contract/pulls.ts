import type { ObservableKey } from '../../model/observable.ts';

/** The rows of one poll. Only the store that made it can read it. */
export interface Pull {
  readonly feed: string;
}

/**
 * Which observations and objects of its feed a pull has seen. Marks are kept in memory only: a pull that is dropped, or cut by a
 * crash, keeps its rows and withdraws nothing. Every method throws `internal` for a pull of another store.
 */
export interface PullWriter {
  /** Those of these keys on which the feed has an observation that the pull has seen. */
  seenKeys(pull: Pull, keys: readonly ObservableKey[]): Promise<Set<ObservableKey>>;
  /** How many observations and objects the feed has, and how many of them the pull has not seen. */
  unseen(pull: Pull): Promise<{ unseen: number; total: number }>;
  /** How many different observations and objects the pull has seen, those that were removed since included. */
  marked(pull: Pull): Promise<number>;
  /** Removes up to `limit` observations that the pull has not seen. Returns their keys, ascending; empty: none is left. */
  removeUnseen(pull: Pull, limit: number): Promise<ObservableKey[]>;
  /** The same for objects. Returns their ids, ascending. */
  removeUnseenObjects(pull: Pull, limit: number): Promise<string[]>;
}

import type { RelationEnd } from '../model/entry.ts';
import type { ObservableKey } from '../model/observable.ts';

/**
 * The part of the storage contract (store.ts) that finds relations by what they point at: those that a feed holds by the ids
 * in their ends (stix/relationship.ts), and those that a journal serves by the observables that stand for these ends in it.
 */
export interface Relations {
  /** Those of these feeds that hold a relation to what may be merged. */
  relatingFeeds(feeds: readonly string[]): Promise<string[]>;
  /** Walks the relations of a feed that have one of these ids as an end: their own ids, ascending and strictly after `after`. */
  relatedObjects(feed: string, ends: readonly string[], after: string | null, limit: number): Promise<string[]>;
  /** In the journal these relations point at these observables, and at no others. */
  point(journal: string, ids: readonly string[], pointers: readonly RelationEnd[]): Promise<void>;
  /** Walks the relations that point at one of these observables: ids, ascending and strictly after `after`. */
  pointing(journal: string, keys: readonly ObservableKey[], after: string | null, limit: number): Promise<string[]>;
}

import type { RelationEnd } from '../../model/entry.ts';
import type { ObservableKey } from '../../model/observable.ts';

/**
 * Relations found by what they point at: those that a feed holds by the ids in their ends (stix/relationship.ts), and those that a
 * journal serves by the observables that stand for these ends in it.
 */
export interface RelationWriter {
  /** Those of these feeds that hold a relation to an indicator or a vulnerability. */
  relatingFeeds(feeds: readonly string[]): Promise<string[]>;
  /** Ids of the feed's relations that have one of these ids as an end: ascending, strictly after `after`, up to `limit`. */
  relatedObjects(feed: string, ends: readonly string[], after: string | null, limit: number): Promise<string[]>;
  /** Replaces what these relations point at in the journal. */
  point(journal: string, ids: readonly string[], pointers: readonly RelationEnd[]): Promise<void>;
  /** Ids of the journal's relations that point at one of these observables: ascending, strictly after `after`, up to `limit`. */
  pointing(journal: string, keys: readonly ObservableKey[], after: string | null, limit: number): Promise<string[]>;
}

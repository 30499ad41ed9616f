import type { StixObject } from '../../model/observation.ts';
import type { Pull } from './pulls.ts';

export type StoredObject = StixObject & { feed: string };

/** STIX objects of feeds that pass verbatim, by (feed, id). */
export interface ObjectWriter {
  /** Inserts or replaces, and marks each as seen. Of several with one id the last counts. Returns those that changed. */
  observeObjects(pull: Pull, objects: readonly StixObject[]): Promise<StixObject[]>;
  /** Versions of the feed's objects with these ids. */
  objectVersions(feed: string, ids: readonly string[]): Promise<Map<string, string | null>>;
  /** Removes objects and counts them in the feed's state as `gone`. Returns the ids of those that were there. */
  removeObjects(feed: string, ids: readonly string[]): Promise<string[]>;
  /** Objects of these feeds with these ids, for each id in the order in which the feeds first said it. */
  objectsById(feeds: readonly string[], ids: readonly string[]): Promise<StoredObject[]>;
  /**
   * Objects of these feeds, ascending by id, strictly after `after`. `limit` counts ids: what several feeds say of one id comes
   * together.
   */
  objects(feeds: readonly string[], after: string | null, limit: number): Promise<StoredObject[]>;
  /** Ids of the feed's objects that refer to one of these marking definitions: ascending, strictly after `after`, up to `limit`. */
  markedObjects(feed: string, refs: readonly string[], after: string | null, limit: number): Promise<string[]>;
}

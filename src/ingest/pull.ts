import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import type { Statement } from '../stix/source-objects.ts';
import type { Pull } from '../store/store.ts';

/** A pull under way, with what the store does not keep of it. */
export interface FeedPull {
  feed: FeedDefinition;
  /** By which the store marks rows as seen. */
  mark: Pull;
  /** Of a snapshot: observations that wait for other objects on the same observables, which the pull may still bring. */
  heldBack: Map<ObservableKey, Observation>;
  /** Of a snapshot: versions that are older than one of an earlier pull. They count unless this pull brings the newer version as well. */
  doubtful: Statement[];
  /**
   * Newest versions of objects that the pull has said and no observation in the store tells of, by id. An older one on a later page
   * is no longer the object.
   */
  versions: Map<string, Micros | null>;
  /** Of a snapshot: versions in which objects ended, where an earlier pull said a newer version; by id. */
  endedEarlier: Map<string, Micros | null>;
  /** Of a snapshot: when the pull first remembered that an object ended. */
  endedSince: Micros | null;
  /** Markings that only their definitions explain, with the number of rows that bear them. */
  markings: Map<string, number>;
}

export function startPull(feed: FeedDefinition, mark: Pull): FeedPull {
  return {
    feed,
    mark,
    heldBack: new Map(),
    doubtful: [],
    versions: new Map(),
    endedEarlier: new Map(),
    endedSince: null,
    markings: new Map(),
  };
}

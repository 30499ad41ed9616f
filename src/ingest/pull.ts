import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import type { Statement } from '../stix/source-objects.ts';
import type { Pull } from '../store/store.ts';

/** A pull under way, and what it has said that the store does not hold. */
export interface FeedPull {
  feed: FeedDefinition;
  /** By which the store marks rows as seen. */
  mark: Pull;
  /** Of a snapshot: what waits until it is known what else the pull says on the same observables. */
  heldBack: Map<ObservableKey, Observation>;
  /** Of a snapshot: what is older than what an earlier pull said. It counts unless this pull says the newer version as well. */
  doubtful: Statement[];
  /**
   * Newest versions of objects that the pull has said and no observation in the store tells of, by id. An older one on a later page
   * is no longer the object.
   */
  versions: Map<string, Micros | null>;
  /** Of a snapshot: versions in which objects ended that are older than what an earlier pull said, by id. */
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

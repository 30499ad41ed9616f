import type { Observable, ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';

/** What journals are to be brought up to date with. */
export interface Changes {
  /** Observables on which something changed, or may have. */
  keys: readonly ObservableKey[];
  /** Ids of objects that pass verbatim, likewise. */
  objects: readonly string[];
  /** What one feed says now on the keys, null where it says nothing any more: it is not read from the store again. */
  latest?: { feed: string; observations: ReadonlyMap<ObservableKey, Observation | null> };
  /** Observables on which the feed says nothing any more, where they are known: of a network the addresses are found by it. */
  gone?: readonly Observable[];
  /** The observables of the keys, where they are known though nobody may say them by themselves: addresses of networks, say. */
  named?: ReadonlyMap<ObservableKey, Observable>;
}

/** What was done to journals. */
export interface Published {
  /** Entries appended: live versions and tombstones. */
  entries: number;
  /** Indicators and objects that left. */
  withdrawn: number;
}

export function addPublished(sum: Published, one: Published): void {
  sum.entries += one.entries;
  sum.withdrawn += one.withdrawn;
}

/** The changes of a feed that says this now on these observables. */
export function changesOf(feed: string, observations: ReadonlyMap<ObservableKey, Observation | null>): Changes {
  return { keys: [...observations.keys()], objects: [], latest: { feed, observations } };
}

/** The changes of a feed that no longer says any of these. */
export function withdrawalsOf(feed: string, gone: readonly Observation[]): Changes {
  const observations = new Map(gone.map(({ key }) => [key, null]));
  return { ...changesOf(feed, observations), gone: gone.map(({ observable }) => observable) };
}

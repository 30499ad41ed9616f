import type { Micros } from '../../model/clock.ts';
import type { ObservableKey } from '../../model/observable.ts';
import type { Observation, SourceObject } from '../../model/observation.ts';
import type { Pull } from './pulls.ts';

export type StoredObservation = Observation & { feed: string };

export interface Observed {
  /** New, or different in any property from the row that the last pull brought first. */
  changed: ObservableKey[];
  /** The pull brought the key before and now says something else. Not written: `amend` combines the rows. */
  again: ObservableKey[];
}

/** What feeds say on observables, by (feed, key). */
export interface ObservationWriter {
  /**
   * Marks as seen those that are kept with exactly this content, and returns the others: `fresh` are those on keys on which the
   * feed has no observation. Writes nothing. Each key may come once.
   */
  confirm<One extends Observation>(
    pull: Pull,
    observations: readonly One[],
  ): Promise<{ fresh: One[]; different: One[] }>;
  /** Inserts or replaces, and marks each as seen. Of several on one key the last counts. */
  observe(pull: Pull, observations: readonly Observation[]): Promise<Observed>;
  /**
   * Replaces what is kept on these keys by a combination of several rows of one pull. The next `observe` still compares with the
   * row that came first, so that a feed with two rows on one key does not change in every pull. Returns the keys whose
   * observation changed. Throws `internal` for a key without an observation.
   */
  amend(feed: string, observations: readonly Observation[]): Promise<ObservableKey[]>;
  /**
   * Removes observations and counts them in the feed's state as `gone`: expired ones, or those of a feed that left the
   * configuration.
   */
  removeObservations(feed: string, keys: readonly ObservableKey[]): Promise<void>;
  /** What these feeds say on these observables, in no particular order. Members of `kept` come sorted at every depth. */
  observations(feeds: readonly string[], keys: readonly ObservableKey[]): Promise<StoredObservation[]>;
  /** Observations of the feed made from any of these upstream objects (`sourceId` and `others`), in no particular order. */
  saidBy(feed: string, ids: readonly string[]): Promise<StoredObservation[]>;
  /** Keys on which any of these feeds has an observation: ascending, strictly after `after`, up to `limit`. */
  observedKeys(feeds: readonly string[], after: ObservableKey | null, limit: number): Promise<ObservableKey[]>;
  /**
   * Keys of observations, of whatever feed, whose host lies in the network: addresses, networks inside of it, and URLs of such a
   * host. `network`: a canonical address or `address/prefix`. Ascending, strictly after `after`, up to `limit`.
   */
  keysWithin(network: string, after: ObservableKey | null, limit: number): Promise<ObservableKey[]>;
  /** The same for hosts that are the domain or a name below it: domains, URLs and e-mail addresses. `domain`: canonical. */
  keysUnder(domain: string, after: ObservableKey | null, limit: number): Promise<ObservableKey[]>;
  /**
   * Keys of the feed's observations that refer to one of these marking definitions: ascending, strictly after `after`, up to
   * `limit`.
   */
  markedKeys(
    feed: string,
    refs: readonly string[],
    after: ObservableKey | null,
    limit: number,
  ): Promise<ObservableKey[]>;
}

/** The versions in which upstream objects ended, where no observation is left that would tell. */
export interface EndedVersionWriter {
  /** Keeps the version of each statement that has one, in place of the one that was kept. `at`: when the feed said so. */
  rememberEnded(feed: string, statements: readonly SourceObject[], at: Micros): Promise<void>;
  /** Kept versions by object id. */
  endedVersions(feed: string, ids: readonly string[]): Promise<Map<string, Micros>>;
  /** Removes up to `limit` that were last remembered before this time, the oldest first. Returns how many. */
  forgetEnded(feed: string, before: Micros, limit: number): Promise<number>;
}

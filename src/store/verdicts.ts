import type { ObservableKey } from '../model/observable.ts';
import type { LeftOut, LeftOutRow, ObjectVerdict, ServedCount } from '../model/served.ts';

/** The part of the storage contract (store.ts) that says what journals leave out. */
export interface Served {
  /**
   * What journals serve and leave out of what each feed holds: live indicators by the feeds that they name, and all else as it
   * was judged. Counted as it changes; no row is read.
   */
  served(): Promise<ServedCount[]>;
  /** What a journal leaves out of a feed: observations, then objects, each in the order of its keys. */
  leftOut(journal: string, feed: string, limit: number): Promise<LeftOutRow[]>;
}

/** A verdict leaves with the observation or object that it is on. */
export interface Verdicts {
  /**
   * Of all that is said on these keys, the journal leaves this out, and nothing else. Each (feed, key) may come once, and must
   * be one that the feed has an observation on.
   */
  judge(journal: string, keys: readonly ObservableKey[], leftOut: readonly LeftOut[]): Promise<void>;
  /** What became of all objects that are held under these ids. Each (feed, id) may come once. */
  judgeObjects(journal: string, ids: readonly string[], verdicts: readonly ObjectVerdict[]): Promise<void>;
  /** Forgets up to `limit` verdicts on what other feeds than these say; answers how many. 0: none is left. */
  forgetVerdicts(journal: string, feeds: readonly string[], limit: number): Promise<number>;
}

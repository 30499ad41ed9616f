import type { ObservableKey } from '../../model/observable.ts';
import type { LeftOut, LeftOutRow, ObjectVerdict, ServedCount } from '../../model/served.ts';

/** What journals serve and leave out of what feeds say. */
export interface VerdictReader {
  /**
   * Counts by journal, feed, kind and reason: live indicators by the feeds that their claims name, everything else by its
   * verdict. Kept up to date by every change, so that no row is read.
   */
  served(): Promise<ServedCount[]>;
  /** What a journal leaves out of a feed, up to `limit`: observations, then objects, each by ascending key. */
  leftOut(journal: string, feed: string, limit: number): Promise<LeftOutRow[]>;
}

/** A verdict is removed together with the observation or object that it is on. */
export interface VerdictWriter {
  /**
   * Replaces the journal's verdicts on these keys: it leaves out exactly `leftOut`. Each (feed, key) may come once, and the
   * feed must have an observation on the key.
   */
  judge(journal: string, keys: readonly ObservableKey[], leftOut: readonly LeftOut[]): Promise<void>;
  /** Replaces the journal's verdicts on the objects with these ids, live ones included. Each (feed, id) may come once. */
  judgeObjects(journal: string, ids: readonly string[], verdicts: readonly ObjectVerdict[]): Promise<void>;
  /** Removes up to `limit` verdicts on feeds other than these. Returns how many; 0: none is left. */
  forgetVerdicts(journal: string, feeds: readonly string[], limit: number): Promise<number>;
}

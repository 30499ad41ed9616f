import type { AnalystVerdict } from '../../model/analyst-verdict.ts';
import type { Micros } from '../../model/clock.ts';
import type { ObservableKey } from '../../model/observable.ts';

/** Which verdicts are read. */
export interface AnalystVerdictQuery {
  /** Null: of every pool. */
  pool: string | null;
  /** Null: on every observable. */
  keys: readonly ObservableKey[] | null;
  /** Those that ended as well. */
  withEnded: boolean;
  /** Only those with a lower id; null: from the newest. */
  before: number | null;
  limit: number;
}

/** What analysts say of observables (model/analyst-verdict.ts). It has nothing to do with what journals leave out (verdicts.ts). */
export interface AnalystVerdictReader {
  /** Newest first. */
  analystVerdicts(query: AnalystVerdictQuery): Promise<AnalystVerdict[]>;
  /** How many stand in the pool. */
  countAnalystVerdicts(pool: string): Promise<number>;
}

export interface AnalystVerdictWriter {
  /** Keeps a verdict and gives it its id. The one that stands in the pool on the same question about the observable ends with it. */
  addAnalystVerdict(verdict: Omit<AnalystVerdict, 'id' | 'ended'>): Promise<AnalystVerdict>;
  /** Does any stand in the pool? */
  hasStandingVerdicts(pool: string): Promise<boolean>;
  /** Those that stand in the pool on any of these keys, in no particular order. */
  standingVerdicts(pool: string, keys: readonly ObservableKey[]): Promise<AnalystVerdict[]>;
  /** Ends those of these that stand. `by` null: each ends at its date. */
  endAnalystVerdicts(ids: readonly number[], at: Micros, by: string | null): Promise<void>;
  /** Those that stand although their date has come, the earliest first. */
  overdueVerdicts(now: Micros, limit: number): Promise<AnalystVerdict[]>;
  /**
   * What ended by its date stands again where that date is still to come, because the clock was ahead; unless a later verdict answers
   * the same question. Returns those that do, up to `limit`.
   */
  reviveVerdicts(now: Micros, limit: number): Promise<AnalystVerdict[]>;
  /** Forgets those that ended before this time, and of all that ended the earliest beyond MAX_ENDED_VERDICTS (limits.ts). */
  forgetEndedVerdicts(before: Micros): Promise<void>;
}

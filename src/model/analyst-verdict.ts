import type { Micros } from './clock.ts';
import type { Observable, ObservableKey, ObservableType } from './observable.ts';

/**
 * What an analyst says of an observable in a pool. `false-positive`: it is not served. `confirmed`: it is as bad as its feeds say.
 * `sighted`: it was seen, so it is not old.
 */
export const analystVerdictKinds = ['false-positive', 'confirmed', 'sighted'] as const;
export type AnalystVerdictKind = (typeof analystVerdictKinds)[number];

/** It stands whatever feeds say, until its date or until somebody ends it. */
export interface AnalystVerdict {
  /** Rises with each that is given. */
  id: number;
  pool: string;
  key: ObservableKey;
  observable: Observable;
  kind: AnalystVerdictKind;
  /** Who gave it. Readers never see this, nor the note. */
  by: string;
  note: string | null;
  at: Micros;
  /** Of `sighted`: when the observable was seen; else null. */
  seenAt: Micros | null;
  /** Null: until it is ended by hand. */
  until: Micros | null;
  /** Null: it stands. `by` null: its date came. */
  ended: { at: Micros; by: string | null } | null;
}

/**
 * Are these on one question? Is it bad, and was it seen, are two: of the verdicts of a pool on an observable, the last on each
 * question stands.
 */
export function isSameQuestion(a: AnalystVerdictKind, b: AnalystVerdictKind): boolean {
  return (a === 'sighted') === (b === 'sighted');
}

export const MAX_VERDICT_NOTE = 1000;

/** Labels that begin with it, in any case, are an analyst's word here: those of feeds are not taken over. */
export const ANALYST_LABELS = 'analyst:';

/** Which pools are meant: the one of this name, or all of them. Neither: the only one there is. */
interface Pools {
  pool?: string;
  allPools?: boolean;
}

/** A verdict as somebody gives it. The value may be in any spelling. */
export interface NewVerdict extends Pools {
  ioc: string;
  /** Absent: as the value's form shows. */
  type?: ObservableType;
  kind: AnalystVerdictKind;
  by: string;
  note?: string;
  /** Of `sighted`; absent: now. */
  seenAt?: Micros;
  until?: Micros;
}

/** Which standing verdicts on a value are ended. */
export interface EndedVerdicts extends Pools {
  ioc: string;
  type?: ObservableType;
  /** Absent: of every kind. */
  kind?: AnalystVerdictKind;
  by: string;
}

/** Which verdicts are listed, newest first. */
export interface ListedVerdicts {
  ioc?: string;
  type?: ObservableType;
  pool?: string;
  /** Those that ended as well. */
  withEnded: boolean;
  /** Only those with a lower id. */
  before?: number;
  limit: number;
}

/** What was given or ended, and what readers were told of it. */
export interface VerdictReport {
  verdicts: AnalystVerdict[];
  /** Journal entries appended, over all journals: live versions and tombstones. */
  entries: number;
  withdrawn: number;
  /** Feeds of these pools that say the value now. */
  feeds: string[];
}

export interface VerdictList {
  verdicts: AnalystVerdict[];
  /** Of the page behind this one: its `before`. Null: there is none. */
  next: number | null;
}

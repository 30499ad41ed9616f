import type { Micros } from './clock.ts';
import type { Observable, ObservableKey } from './observable.ts';

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

import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState } from '../model/state.ts';

/**
 * The circuit breaker of an account. After failures in a row it opens, and nothing is sent. Then it is half open: one trial request
 * is sent. Success closes it, failure opens it for longer. It stands in the account's stored state, so a restart does not close it.
 *
 * cockatiel's breaker can be restored but takes no clock: it reads Date.now(), so a clock that is set back would keep it open for
 * as long as the step.
 */

/** Failures in a row that open it: more than the attempts of one poll. */
const OPENS_AFTER = 5;
const FIRST_OPEN: Micros = 60 * MICROS_PER_SECOND;
const LONGEST_OPEN: Micros = 15 * FIRST_OPEN;
/** No second trial begins before: longer than any answer may be silent. */
const TRIAL: Micros = 2 * FIRST_OPEN;

/**
 * Returns the state at `now`. After a clock was set back, a breaker that is open for longer than the longest time counts as opened
 * just now. Save the result while waiting, or the wait begins anew each time.
 */
export function advanceBreaker(state: AccountState, now: Micros): AccountState {
  const { breaker } = state;
  if (breaker === undefined || breaker.openUntil === null || breaker.openUntil <= now + LONGEST_OPEN) return state;
  return { ...state, breaker: { ...breaker, openUntil: now + LONGEST_OPEN } };
}

/** Returns when a request may be sent; `now` or before while the breaker is closed. */
export function closesAt(state: AccountState, now: Micros): Micros {
  return advanceBreaker(state, now).breaker?.openUntil ?? now;
}

/** Returns the state once a request is sent. When the breaker was open, this is the only trial request for now. */
export function beginTrial(state: AccountState, now: Micros): AccountState {
  const { breaker } = state;
  if (breaker === undefined || breaker.openUntil === null) return state;
  return { ...state, breaker: { ...breaker, openUntil: now + TRIAL } };
}

/** `jitter`, 0 to 1, keeps many gateways from sending their trials at the same time. */
export function recordFailure(state: AccountState, now: Micros, jitter: number): AccountState {
  const { failures, breaks, openUntil } = state.breaker ?? { failures: 0, breaks: 0, openUntil: null };
  if (openUntil === null && failures + 1 < OPENS_AFTER) {
    return { ...state, breaker: { failures: failures + 1, breaks, openUntil } };
  }
  const length = Math.min(FIRST_OPEN * 2 ** Math.min(breaks, 16), LONGEST_OPEN);
  const wait = Math.ceil(length * (0.75 + jitter / 4));
  return { ...state, breaker: { failures: failures + 1, breaks: breaks + 1, openUntil: now + wait } };
}

/** Returns the same object when there was no failure before. */
export function recordSuccess(state: AccountState): AccountState {
  if (state.breaker === undefined) return state;
  const { breaker: _, ...rest } = state;
  return rest;
}

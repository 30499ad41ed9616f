import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState } from '../model/state.ts';

/**
 * An upstream that fails again and again is left alone, longer each time, and then asked once: if that works it is trusted
 * again. One breaker per account, in its stored state, so that a restart doesn't begin to hammer anew.
 *
 * cockatiel's breaker can be restored (`initialState`) but not driven: it reads Date.now() itself, so a clock set back would
 * keep it open for as long as the step, and no test could show otherwise. What is needed are these few lines.
 */

/** Failures in a row: more than one poll's tries. */
const BREAK_AFTER = 5;
const FIRST_BREAK = 60 * MICROS_PER_SECOND;
const LONGEST_BREAK = 15 * FIRST_BREAK;
/** The one request that tries is given this long before another may: longer than any answer may keep silent. */
const TRIAL = 2 * FIRST_BREAK;

/**
 * After a clock was set back, a break that ends later than any break can is taken as begun just now. Save it while waiting: a
 * wait that begins anew with every look lasts for as long as the clock's step.
 */
export function settleBreaker(state: AccountState, now: Micros): AccountState {
  const { breaker } = state;
  if (breaker === undefined || breaker.openUntil === null || breaker.openUntil <= now + LONGEST_BREAK) return state;
  return { ...state, breaker: { ...breaker, openUntil: now + LONGEST_BREAK } };
}

/** When the account may be asked; `now` or before while nothing is wrong. */
export function closesAt(state: AccountState, now: Micros): Micros {
  return settleBreaker(state, now).breaker?.openUntil ?? now;
}

/** The state once a request is on its way: while the breaker is open, it is the only one that tries. */
export function beginTrial(state: AccountState, now: Micros): AccountState {
  const { breaker } = state;
  if (breaker === undefined || breaker.openUntil === null) return state;
  return { ...state, breaker: { ...breaker, openUntil: now + TRIAL } };
}

/** `spread`, from 0 to 1, keeps many gateways from coming back in step. */
export function addFailure(state: AccountState, now: Micros, spread: number): AccountState {
  const { failures, breaks, openUntil } = state.breaker ?? { failures: 0, breaks: 0, openUntil: null };
  if (openUntil === null && failures + 1 < BREAK_AFTER) {
    return { ...state, breaker: { failures: failures + 1, breaks, openUntil } };
  }
  const length = Math.min(FIRST_BREAK * 2 ** Math.min(breaks, 16), LONGEST_BREAK);
  const wait = Math.ceil(length * (0.75 + spread / 4));
  return { ...state, breaker: { failures: failures + 1, breaks: breaks + 1, openUntil: now + wait } };
}

/** The same object while there was nothing to forget. */
export function addSuccess(state: AccountState): AccountState {
  if (state.breaker === undefined) return state;
  const { breaker: _, ...rest } = state;
  return rest;
}

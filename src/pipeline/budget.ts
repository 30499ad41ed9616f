import type { AccountLimits } from '../feeds/feed.ts';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState } from '../model/state.ts';

/** Blocked this long by a 429 that gives no hint. */
const WITHOUT_HINT = 60 * MICROS_PER_SECOND;
/** No upstream's word silences an account for longer. */
const LONGEST_BLOCK = MICROS_PER_DAY;

/** The earliest moment a request of this weight may be sent; `now` or before when it may be sent at once. */
export function admit(state: AccountState, limits: AccountLimits, weight: number, now: Micros): Micros {
  const times = [state.blockedUntil ?? 0];
  if (state.lastRequestAt !== null) {
    // A clock set back must not stretch the interval.
    times.push(Math.min(state.lastRequestAt, now) + limits.minInterval * MICROS_PER_MS);
  }
  for (const { seconds, requests } of limits.windows) {
    const window = openWindow(state, seconds, now);
    if (window !== null && window.used + Math.min(weight, requests) > requests) {
      times.push(window.startedAt + seconds * MICROS_PER_SECOND);
    }
  }
  return Math.max(...times);
}

/** The state once the request is sent; stored before it is, so that a crash never forgets a request. */
export function spend(state: AccountState, limits: AccountLimits, weight: number, now: Micros): AccountState {
  const windows: AccountState['windows'] = {};
  for (const { seconds } of limits.windows) {
    const window = openWindow(state, seconds, now);
    windows[seconds] = { startedAt: window?.startedAt ?? now, used: (window?.used ?? 0) + weight };
  }
  return { ...state, windows, lastRequestAt: now, requests: state.requests + 1 };
}

/** A window that has not run out. One that starts in the future, after a clock was set back, starts now: nothing is given back. */
function openWindow(state: AccountState, seconds: number, now: Micros): { startedAt: Micros; used: number } | null {
  const window = state.windows[seconds];
  if (window === undefined || now >= window.startedAt + seconds * MICROS_PER_SECOND) return null;
  return { startedAt: Math.min(window.startedAt, now), used: window.used };
}

/** What an answer says of the allowance: Retry-After (RFC 9110 10.2.3) and X-RateLimit-Reset in Unix seconds. */
export function learn(state: AccountState, status: number, headers: Record<string, string>, now: Micros): AccountState {
  const isRefused = status === 429;
  const isSpent = headers['x-ratelimit-remaining'] === '0';
  const hint = retryAfterOf(headers, now) ?? (isRefused || isSpent ? resetOf(headers, now) : null);
  const until = hint ?? (isRefused ? now + WITHOUT_HINT : null);
  if (until === null || (!isRefused && !isSpent && status < 500)) return state;
  return { ...state, blockedUntil: Math.max(state.blockedUntil ?? 0, Math.min(until, now + LONGEST_BLOCK)) };
}

function retryAfterOf(headers: Record<string, string>, now: Micros): Micros | null {
  const text = headers['retry-after'];
  return text !== undefined && /^\d{1,9}$/.test(text) ? now + Number(text) * MICROS_PER_SECOND : null;
}

function resetOf(headers: Record<string, string>, now: Micros): Micros | null {
  const text = headers['x-ratelimit-reset'];
  if (text === undefined || !/^\d{1,12}$/.test(text)) return null;
  const at = Number(text) * MICROS_PER_SECOND;
  return at > now ? at : null;
}

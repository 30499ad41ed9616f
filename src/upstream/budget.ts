import type { AccountLimits } from '../feeds/feed.ts';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState } from '../model/state.ts';
import { parseHttpDate } from '../model/timestamp.ts';
import { freshUntil } from './cache-lifetime.ts';

/**
 * The rate limit of an account, as sliding windows. When upstream begins its own minutes and days is unknown, so no stretch of a
 * window's length, wherever it begins, ever holds more than the window allows. All functions are pure functions of the stored state:
 * after a restart it is known what was spent.
 */

/** A window is counted in so many slots. Its price: a window acts as if it were 1/48 longer, a day as 24.5 hours. */
const SLOTS = 48;

/** A 429 without a hint blocks the account for so long. */
const BLOCK_WITHOUT_HINT: Micros = 60 * MICROS_PER_SECOND;
const SHORTEST_BLOCK: Micros = MICROS_PER_SECOND;
/** No answer of an upstream blocks its account for longer. */
const LONGEST_BLOCK: Micros = MICROS_PER_DAY;

type Window = Required<AccountState['windows'][string]>;

/**
 * Returns the earliest time at which a request of this weight may be sent; `now` or before when it may be sent at once. At that time
 * more may be needed, so it must be asked again. A weight above all that a window allows waits for the window to be empty.
 */
export function nextRequestAt(state: AccountState, limits: AccountLimits, weight: number, now: Micros): Micros {
  const current = advance(state, now);
  let at = current.blockedUntil ?? 0;
  if (current.lastRequestAt !== null) at = Math.max(at, current.lastRequestAt + limits.minInterval * MICROS_PER_MS);
  for (const { seconds, requests } of limits.windows) {
    const { startedAt, used, slots } = windowOf(current, seconds);
    let excess = used + Math.min(weight, requests) - requests;
    for (let i = 0; i < slots.length && excess > 0; i += 1) {
      excess -= slots[i] ?? 0;
      at = Math.max(at, slotExpiresAt(startedAt, i, seconds));
    }
  }
  return at;
}

/** Returns the weighted requests of the last `seconds`. */
export function usedOf(state: AccountState, seconds: number, now: Micros): number {
  return windowOf(advance(state, now), seconds).used;
}

/** Returns the state once the request is sent. It is stored before sending, so that a crash never forgets a request. */
export function spend(state: AccountState, limits: AccountLimits, weight: number, now: Micros): AccountState {
  const current = advance(state, now);
  const windows = { ...current.windows };
  for (const { seconds } of limits.windows) {
    const length = slotLength(seconds);
    const window = windowOf(current, seconds);
    const startedAt = window.slots.length === 0 ? now - (now % length) : window.startedAt;
    const slots = [...window.slots];
    const slot = Math.floor((now - startedAt) / length);
    while (slots.length <= slot) slots.push(0);
    slots[slot] = (slots[slot] ?? 0) + weight;
    windows[seconds] = { startedAt, used: window.used + weight, slots };
  }
  return { ...current, windows, lastRequestAt: now, requests: current.requests + 1 };
}

/**
 * Returns the state at `now`, without what has left its window. After a clock was set back, what lies in the future counts as done
 * just now: nothing is given back, and no wait is longer than the window. Save the result when it differs, or the wait begins anew
 * each time.
 */
export function advance(state: AccountState, now: Micros): AccountState {
  const windows: AccountState['windows'] = {};
  for (const [key, window] of Object.entries(state.windows)) {
    const advanced = advanceWindow({ slots: [window.used], ...window }, Number(key), now);
    if (advanced.slots.length > 0) windows[key] = advanced;
  }
  return {
    ...state,
    windows,
    lastRequestAt: state.lastRequestAt === null ? null : Math.min(state.lastRequestAt, now),
    ...advanceBlock(state, now),
  };
}

/** A block that was set in the future counts as set now: the wait is what upstream asked for, without the clock's step. */
function advanceBlock({ blockedAt, blockedUntil }: AccountState, now: Micros): Partial<AccountState> {
  if (blockedUntil === null) return {};
  const setAt = blockedAt ?? blockedUntil - LONGEST_BLOCK;
  const ahead = Math.max(0, setAt - now);
  return { blockedUntil: blockedUntil - ahead, blockedAt: setAt - ahead };
}

function advanceWindow(window: Window, seconds: number, now: Micros): Window {
  const length = slotLength(seconds);
  const { used, slots } = window;
  // The last slot holds the newest request. When it begins after now, the clock was set back by at least that much: all slots
  // move back together, so that the last one begins now.
  const startedAt = window.startedAt - Math.max(0, window.startedAt + (slots.length - 1) * length - now);
  let expired = 0;
  while (expired < slots.length && (slots[expired] === 0 || slotExpiresAt(startedAt, expired, seconds) <= now)) {
    expired += 1;
  }
  if (expired === 0) return { startedAt, used, slots };
  const left = slots.slice(expired);
  return { startedAt: startedAt + expired * length, used: left.reduce((sum, weight) => sum + weight, 0), slots: left };
}

function windowOf({ windows }: AccountState, seconds: number): Window {
  const window = windows[seconds];
  return window === undefined ? { startedAt: 0, used: 0, slots: [] } : { slots: [window.used], ...window };
}

/** When all requests of a slot are a whole window old. */
function slotExpiresAt(startedAt: Micros, slot: number, seconds: number): Micros {
  return startedAt + (slot + 1) * slotLength(seconds) + seconds * MICROS_PER_SECOND;
}

function slotLength(seconds: number): Micros {
  return Math.ceil((seconds * MICROS_PER_SECOND) / SLOTS);
}

/**
 * Blocks the account for as long as the answer asks for. Read are Retry-After (RFC 9110 section 10.2.3) of 429 and 5xx, and
 * X-RateLimit-Reset of 429 and wherever X-RateLimit-Remaining is 0; of a 429 without either, how long it may be kept. Returns the same object when the answer asks for nothing.
 */
export function applyRateLimit(
  state: AccountState,
  status: number,
  headers: Record<string, string>,
  now: Micros,
): AccountState {
  const isRefused = status === 429;
  const remaining = headers['x-ratelimit-remaining'] ?? headers['ratelimit-remaining'];
  const isSpent = remaining !== undefined && /^0+(?:\.0*)?$/.test(remaining.trim());
  // Upstream's dates are compared with upstream's own clock where the answer tells it.
  const responseDate = parseHttpDate(headers['date'] ?? '') ?? now;
  const retryAfter = isRefused || status >= 500 ? parseRetryAfter(headers, responseDate) : null;
  const wait =
    retryAfter ??
    (isRefused || isSpent ? parseReset(headers, responseDate) : null) ??
    (isRefused ? (keptFor(headers, now) ?? BLOCK_WITHOUT_HINT) : null);
  if (wait === null) return state;
  const current = advance(state, now);
  const until = now + Math.min(Math.max(wait, SHORTEST_BLOCK), LONGEST_BLOCK);
  return (current.blockedUntil ?? 0) >= until ? current : { ...current, blockedUntil: until, blockedAt: now };
}

/** Some say how long a refusal holds only as to caches. */
function keptFor(headers: Record<string, string>, now: Micros): Micros | null {
  const until = freshUntil(headers, now);
  return until === null ? null : until - now;
}

function parseRetryAfter(headers: Record<string, string>, responseDate: Micros): Micros | null {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * MICROS_PER_SECOND;
  const at = parseHttpDate(text);
  return at === undefined ? null : Math.max(0, at - responseDate);
}

/** A number of seconds, or Unix seconds: told apart by size. Null for a time that has passed. */
function parseReset(headers: Record<string, string>, responseDate: Micros): Micros | null {
  const text = (headers['x-ratelimit-reset'] ?? headers['ratelimit-reset'])?.trim() ?? '';
  if (!/^\d{1,12}$/.test(text)) return null;
  const micros = Number(text) * MICROS_PER_SECOND;
  const wait = micros > 1000 * MICROS_PER_DAY ? micros - responseDate : micros;
  return wait > 0 ? wait : null;
}

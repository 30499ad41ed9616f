import type { AccountLimits } from '../feeds/feed.ts';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState } from '../model/state.ts';
import { parseHttpDate } from '../model/timestamp.ts';

/**
 * What an account may still ask. Windows slide: how an upstream lays its own minutes and days is unknown, so no stretch of
 * a window's length, wherever it begins, ever holds more than the window allows. Everything is a pure function of the
 * stored state, so that a restart knows what was spent.
 */

/** A window forgets in this many slices: the price is that it acts like one longer by 1/48, a day like 24.5 hours. */
const SLOTS = 48;

/** Blocked this long by a 429 that gives no hint. */
const WITHOUT_HINT = 60 * MICROS_PER_SECOND;
const SHORTEST_BLOCK = MICROS_PER_SECOND;
/** No upstream's word silences an account for longer. */
const LONGEST_BLOCK = MICROS_PER_DAY;

type Window = Required<AccountState['windows'][string]>;

/**
 * The earliest moment a request of this weight may be sent; `now` or before when it may be sent at once. More may be needed
 * at that moment: whoever waited asks again. A weight above a window's whole allowance waits for the window to be empty.
 */
export function admit(state: AccountState, limits: AccountLimits, weight: number, now: Micros): Micros {
  const settled = settle(state, now);
  let at = settled.blockedUntil ?? 0;
  if (settled.lastRequestAt !== null) at = Math.max(at, settled.lastRequestAt + limits.minInterval * MICROS_PER_MS);
  for (const { seconds, requests } of limits.windows) {
    const { startedAt, used, slots } = windowOf(settled, seconds);
    let excess = used + Math.min(weight, requests) - requests;
    for (let i = 0; i < slots.length && excess > 0; i += 1) {
      excess -= slots[i] ?? 0;
      at = Math.max(at, leavesAt(startedAt, i, seconds));
    }
  }
  return at;
}

/** How much of its fullest window is spent, 0 to 1. */
export function shareSpent(state: AccountState, limits: AccountLimits, now: Micros): number {
  const settled = settle(state, now);
  return Math.max(0, ...limits.windows.map(({ seconds, requests }) => windowOf(settled, seconds).used / requests));
}

/** The state once the request is sent; stored before it is, so that a crash never forgets a request. */
export function spend(state: AccountState, limits: AccountLimits, weight: number, now: Micros): AccountState {
  const settled = settle(state, now);
  const windows = { ...settled.windows };
  for (const { seconds } of limits.windows) {
    const length = slotLength(seconds);
    const window = windowOf(settled, seconds);
    const startedAt = window.slots.length === 0 ? now - (now % length) : window.startedAt;
    const slots = [...window.slots];
    const slot = Math.floor((now - startedAt) / length);
    while (slots.length <= slot) slots.push(0);
    slots[slot] = (slots[slot] ?? 0) + weight;
    windows[seconds] = { startedAt, used: window.used + weight, slots };
  }
  return { ...settled, windows, lastRequestAt: now, requests: settled.requests + 1 };
}

/**
 * The state as it stands now: what has left its window is gone. After a clock was set back, what lies in the future is
 * taken as done just now: nothing is given back, and no wait is longer than the window. Save it when it differs, or the
 * wait begins anew each time it is looked at.
 */
export function settle(state: AccountState, now: Micros): AccountState {
  const windows: AccountState['windows'] = {};
  for (const [key, window] of Object.entries(state.windows)) {
    const slid = slide({ slots: [window.used], ...window }, Number(key), now);
    if (slid.slots.length > 0) windows[key] = slid;
  }
  return {
    ...state,
    windows,
    lastRequestAt: state.lastRequestAt === null ? null : Math.min(state.lastRequestAt, now),
    ...settleBlock(state, now),
  };
}

/** A block that was told in the future was told just now: what was asked for is waited, and not the clock's step as well. */
function settleBlock({ blockedAt, blockedUntil }: AccountState, now: Micros): Partial<AccountState> {
  if (blockedUntil === null) return {};
  const toldAt = blockedAt ?? blockedUntil - LONGEST_BLOCK;
  const ahead = Math.max(0, toldAt - now);
  return { blockedUntil: blockedUntil - ahead, blockedAt: toldAt - ahead };
}

function slide(window: Window, seconds: number, now: Micros): Window {
  const length = slotLength(seconds);
  const { used, slots } = window;
  // The last slot holds the newest request; when it begins after now, all are moved back together, so far that it begins
  // now and not a moment further: the clock was set back by at least that much.
  const startedAt = window.startedAt - Math.max(0, window.startedAt + (slots.length - 1) * length - now);
  let gone = 0;
  while (gone < slots.length && (slots[gone] === 0 || leavesAt(startedAt, gone, seconds) <= now)) gone += 1;
  if (gone === 0) return { startedAt, used, slots };
  const left = slots.slice(gone);
  return { startedAt: startedAt + gone * length, used: left.reduce((sum, weight) => sum + weight, 0), slots: left };
}

function windowOf({ windows }: AccountState, seconds: number): Window {
  const window = windows[seconds];
  return window === undefined ? { startedAt: 0, used: 0, slots: [] } : { slots: [window.used], ...window };
}

/** When everything that was sent in a slot lies a whole window back. */
function leavesAt(startedAt: Micros, slot: number, seconds: number): Micros {
  return startedAt + (slot + 1) * slotLength(seconds) + seconds * MICROS_PER_SECOND;
}

function slotLength(seconds: number): Micros {
  return Math.ceil((seconds * MICROS_PER_SECOND) / SLOTS);
}

/**
 * What an answer says of the allowance. Retry-After (RFC 9110 section 10.2.3) on 429 and 5xx; X-RateLimit-Reset on 429 and
 * whenever X-RateLimit-Remaining says that nothing is left. The same object comes back when nothing was learnt.
 */
export function learn(state: AccountState, status: number, headers: Record<string, string>, now: Micros): AccountState {
  const isRefused = status === 429;
  const remaining = headers['x-ratelimit-remaining'] ?? headers['ratelimit-remaining'];
  const isSpent = remaining !== undefined && /^0+(?:\.0*)?$/.test(remaining.trim());
  // The upstream's own clock, when it tells it, makes its moments into waits that don't depend on ours.
  const theirs = parseHttpDate(headers['date'] ?? '') ?? now;
  const retryAfter = isRefused || status >= 500 ? retryAfterOf(headers, theirs) : null;
  const wait =
    retryAfter ?? (isRefused || isSpent ? resetOf(headers, theirs) : null) ?? (isRefused ? WITHOUT_HINT : null);
  if (wait === null) return state;
  const settled = settle(state, now);
  const until = now + Math.min(Math.max(wait, SHORTEST_BLOCK), LONGEST_BLOCK);
  return (settled.blockedUntil ?? 0) >= until ? settled : { ...settled, blockedUntil: until, blockedAt: now };
}

function retryAfterOf(headers: Record<string, string>, theirs: Micros): Micros | null {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * MICROS_PER_SECOND;
  const at = parseHttpDate(text);
  return at === undefined ? null : Math.max(0, at - theirs);
}

/** A count of seconds, or Unix seconds, told apart by size. Null for one that has passed: it says nothing. */
function resetOf(headers: Record<string, string>, theirs: Micros): Micros | null {
  const text = (headers['x-ratelimit-reset'] ?? headers['ratelimit-reset'])?.trim() ?? '';
  if (!/^\d{1,12}$/.test(text)) return null;
  const micros = Number(text) * MICROS_PER_SECOND;
  const wait = micros > 1000 * MICROS_PER_DAY ? micros - theirs : micros;
  return wait > 0 ? wait : null;
}

/** What is left of an account's allowance, for whoever asks how it stands; nothing is spent. */
export function allowanceOf(state: AccountState, limits: AccountLimits, now: Micros) {
  const settled = settle(state, now);
  const at = admit(settled, limits, 1, now);
  return {
    nextRequestAt: at > now ? at : null,
    windows: limits.windows.map(({ seconds, requests }) => ({
      seconds,
      requests,
      left: Math.max(0, requests - windowOf(settled, seconds).used),
    })),
  };
}

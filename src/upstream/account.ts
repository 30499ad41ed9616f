import type { AccountLimits, ConfiguredFeed } from '../feeds/feed.ts';
import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState, Allowance } from '../model/state.ts';
import { nextRequestAt, usedOf } from './budget.ts';
import { closesAt } from './circuit-breaker.ts';
import { siteOf } from './redirect.ts';

/** What upstream counts requests by, over all feeds that spend from it. */
export interface Account {
  name: string;
  /** Scheme and host that the first of its feeds names. */
  origin: string;
  /** Names of its feeds. */
  feeds: string[];
  /** The strictest of what its feeds' formats say, because upstream counts their requests together. */
  limits: AccountLimits;
}

/**
 * Feeds with the same key at the same site share one account, whichever of its host names they use. Without a key it is the origin
 * that upstream counts by. Null for a feed that never uses the network.
 */
export function accountNameOf({ format, options }: ConfiguredFeed): string | null {
  const account = format.account(options);
  if (account === null) return null;
  return account.key === null ? account.origin : `${siteOf(new URL(account.origin))} ${account.key.fingerprint()}`;
}

/** All accounts by name. */
export function accountsOf(feeds: readonly ConfiguredFeed[]): Map<string, Account> {
  const accounts = new Map<string, Account>();
  for (const feed of feeds) {
    const [name, account] = [accountNameOf(feed), feed.format.account(feed.options)];
    if (name === null || account === null) continue;
    const known = accounts.get(name);
    accounts.set(name, {
      name,
      origin: known?.origin ?? account.origin,
      feeds: [...(known?.feeds ?? []), feed.definition.name],
      limits: known === undefined ? account.limits : strictest(known.limits, account.limits),
    });
  }
  return accounts;
}

function strictest(one: AccountLimits, other: AccountLimits): AccountLimits {
  const bySeconds = new Map<number, number>();
  for (const { seconds, requests } of [...one.windows, ...other.windows]) {
    bySeconds.set(seconds, Math.min(requests, bySeconds.get(seconds) ?? requests));
  }
  return {
    minInterval: Math.max(one.minInterval, other.minInterval),
    windows: [...bySeconds].map(([seconds, requests]) => ({ seconds, requests })),
  };
}

/** What an account still allows. */
export interface AccountAllowance {
  /** Nothing is sent before: the budget, what upstream asked for, or the open circuit breaker. Null: at once. */
  nextRequestAt: Micros | null;
  /** `left`: weighted requests, of `requests` in any stretch of so many seconds. */
  windows: { seconds: number; requests: number; left: number }[];
}

/** `state` is undefined for an account that nothing was spent of. Of one that is blocked for longer than a window, nothing is left in it. */
export function allowanceOf(state: AccountState | undefined, limits: AccountLimits, now: Micros): AccountAllowance {
  if (state === undefined) {
    return { nextRequestAt: null, windows: limits.windows.map((window) => ({ ...window, left: window.requests })) };
  }
  const at = Math.max(nextRequestAt(state, limits, 1, now), closesAt(state, now));
  const windows = limits.windows.map(({ seconds, requests }) => {
    const isBlocked = (state.blockedUntil ?? 0) > now + seconds * MICROS_PER_SECOND;
    return { seconds, requests, left: isBlocked ? 0 : Math.max(0, requests - usedOf(state, seconds, now)) };
  });
  return { nextRequestAt: at > now ? at : null, windows };
}

/** What every account still allows, one row per window, for metrics. */
export function allowancesOf(
  accounts: ReadonlyMap<string, Account>,
  states: readonly AccountState[],
  now: Micros,
): Allowance[] {
  return [...accounts.values()].flatMap(({ name, origin, feeds, limits }) => {
    const state = states.find(({ account }) => account === name);
    const { windows } = allowanceOf(state, limits, now);
    return windows.map(({ seconds, requests, left }) => ({ origin, feeds, seconds, allowed: requests, left }));
  });
}

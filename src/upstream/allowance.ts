import type { ConfiguredFeed } from '../feeds/feed.ts';
import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState, Allowance } from '../model/state.ts';
import { allowanceOf } from './budget.ts';
import { accountNameOf, limitsOf } from './upstream.ts';

/** What each account still allows, one row per window; one that is blocked for longer than a window has nothing left of it. */
export function allowancesOf(
  feeds: readonly ConfiguredFeed[],
  states: readonly AccountState[],
  now: Micros,
): Allowance[] {
  return [...limitsOf(feeds)].flatMap(([name, limits]) => {
    const own = feeds.filter((feed) => accountNameOf(feed) === name);
    const [first] = own;
    const origin = first?.format.account(first.options)?.origin ?? name;
    const state = states.find(({ account }) => account === name);
    const unspent = limits.windows.map((window) => ({ ...window, left: window.requests }));
    const windows = state === undefined ? unspent : allowanceOf(state, limits, now).windows;
    return windows.map(({ seconds, requests: allowed, left }) => {
      const isBlocked = (state?.blockedUntil ?? 0) > now + seconds * MICROS_PER_SECOND;
      const names = own.map(({ definition }) => definition.name);
      return { origin, feeds: names, seconds, allowed, left: isBlocked ? 0 : left };
    });
  });
}

import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { AccountState, Allowance } from '../model/state.ts';
import { settle } from './budget.ts';
import type { ConfiguredFeed } from './poll.ts';
import { accountNameOf } from './upstream.ts';

/** What each account's plan still allows, one row per window; an account that is blocked has nothing left. */
export function allowancesOf(
  feeds: readonly Pick<ConfiguredFeed, 'definition' | 'format' | 'options'>[],
  states: readonly AccountState[],
  now: Micros,
): Allowance[] {
  const accounts = new Map<
    string,
    { origin: string; feeds: string[]; windows: { seconds: number; requests: number }[] }
  >();
  for (const feed of feeds) {
    const account = feed.format.account(feed.options);
    const name = accountNameOf(feed as ConfiguredFeed);
    if (account === null || name === null) continue;
    const known = accounts.get(name) ?? { origin: account.origin, feeds: [], windows: account.limits.windows };
    known.feeds.push(feed.definition.name);
    accounts.set(name, known);
  }
  return [...accounts].flatMap(([name, { origin, feeds, windows }]) => {
    const state = states.find(({ account }) => account === name);
    const settled = state === undefined ? undefined : settle(state, now);
    return windows.map(({ seconds, requests: allowed }) => {
      const used = settled?.windows[seconds]?.used ?? 0;
      // A block that ends within the window only delays; one that outlasts it leaves nothing.
      const isBlocked = (settled?.blockedUntil ?? 0) > now + seconds * MICROS_PER_SECOND;
      return { origin, feeds, seconds, allowed, left: isBlocked ? 0 : Math.max(0, allowed - used) };
    });
  });
}

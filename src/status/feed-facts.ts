import type { Config } from '../config/config.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { AccountState } from '../model/state.ts';
import { allowanceOf } from '../upstream/budget.ts';
import { closesAt } from '../upstream/circuit-breaker.ts';
import { accountNameOf, limitsOf } from '../upstream/upstream.ts';

/** What an account may still ask for, by the runner's own reckoning. */
interface AccountAllowance {
  /** When the next request may be sent; null: now. */
  nextRequestAt: Micros | null;
  windows: { seconds: number; requests: number; left: number }[];
}

/** What the configuration says of a feed. */
export interface FeedFacts {
  definition: FeedDefinition;
  /** Why it isn't polled; null when it is. */
  idle: 'disabled' | 'no-key' | null;
  /** Aliases of the collections it stands behind. */
  collections: string[];
  /** Null for a feed that asks nobody. */
  account: { name: string; origin: string; allowanceOf(state: AccountState, now: Micros): AccountAllowance } | null;
}

/** What the configuration says of each feed, by name, for the routes: they know neither formats nor budgets. */
export function feedFactsOf({ feeds, idleFeeds, pools, journals, collections }: Config): FeedFacts[] {
  const collectionsOf = (feed: string): string[] => {
    const holding = new Set(pools.filter((pool) => pool.feeds.includes(feed)).map(({ name }) => name));
    const told = new Set(journals.filter(({ pool }) => holding.has(pool)).map(({ name }) => name));
    return collections.filter(({ journal }) => told.has(journal)).map(({ alias }) => alias);
  };
  const configured = configuredFeeds({ feeds });
  const limits = limitsOf(configured);
  const polled = configured.map((feed): FeedFacts => {
    const { definition, format, options } = feed;
    const name = accountNameOf(feed) ?? '';
    const allowed = limits.get(name);
    return {
      definition,
      idle: null,
      collections: collectionsOf(definition.name),
      account:
        allowed === undefined
          ? null
          : {
              name,
              origin: format.account(options)?.origin ?? name,
              allowanceOf: (state, now) => {
                const { nextRequestAt, windows } = allowanceOf(state, allowed, now);
                const at = Math.max(nextRequestAt ?? 0, closesAt(state, now));
                return { nextRequestAt: at > now ? at : null, windows };
              },
            },
    };
  });
  const idle = idleFeeds.map(
    ({ definition, reason }): FeedFacts => ({
      definition,
      idle: reason,
      collections: collectionsOf(definition.name),
      account: null,
    }),
  );
  return [...polled, ...idle].sort((a, b) => (a.definition.name < b.definition.name ? -1 : 1));
}

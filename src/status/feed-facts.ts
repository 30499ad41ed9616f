import type { Config } from '../config/config.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { AccountState } from '../model/state.ts';
import { type AccountAllowance, accountNameOf, accountsOf, allowanceOf } from '../upstream/account.ts';

/** What the configuration says of a feed. */
export interface FeedFacts {
  definition: FeedDefinition;
  /** Why it isn't polled; null when it is. */
  idle: 'disabled' | 'no-key' | null;
  /** Aliases of the collections it stands behind. */
  collections: string[];
  /** Null for a feed that asks nobody. */
  account: {
    name: string;
    origin: string;
    allowanceOf(state: AccountState | undefined, now: Micros): AccountAllowance;
  } | null;
}

/** What the configuration says of each feed, by name, for the routes: they know neither formats nor budgets. */
export function feedFactsOf({ feeds, idleFeeds, pools, journals, collections }: Config): FeedFacts[] {
  const collectionsOf = (feed: string): string[] => {
    const holding = new Set(pools.filter((pool) => pool.feeds.includes(feed)).map(({ name }) => name));
    const told = new Set(journals.filter(({ pool }) => holding.has(pool)).map(({ name }) => name));
    return collections.filter(({ journal }) => told.has(journal)).map(({ alias }) => alias);
  };
  const configured = configuredFeeds({ feeds });
  const accounts = accountsOf(configured);
  const polled = configured.map((feed): FeedFacts => {
    const { definition, format, options } = feed;
    const account = accounts.get(accountNameOf(feed) ?? '');
    return {
      definition,
      idle: null,
      collections: collectionsOf(definition.name),
      account:
        account === undefined
          ? null
          : {
              name: account.name,
              origin: format.account(options)?.origin ?? account.origin,
              allowanceOf: (state, now) => allowanceOf(state, account.limits, now),
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

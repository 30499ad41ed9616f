import type { FeedFacts } from '../routes/parts.ts';
import type { Config } from './config/config.ts';
import { closesAt } from './pipeline/breaker.ts';
import { allowanceOf } from './pipeline/budget.ts';
import { accountNameOf, limitsOf } from './pipeline/upstream.ts';
import { configuredFeeds } from './writer.ts';

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

import type { FeedFacts } from '../routes/v1/feeds.ts';
import type { Config } from './config/config.ts';
import type { FeedFormat } from './feeds/feed.ts';
import { feedFormats } from './feeds/registry.ts';
import { allowanceOf } from './pipeline/budget.ts';
import { accountNameOf } from './pipeline/upstream.ts';

/** What the configuration says of each feed, by name, for the routes: they know neither formats nor budgets. */
export function feedFactsOf({ feeds, idleFeeds, pools, journals, collections }: Config): FeedFacts[] {
  const collectionsOf = (feed: string): string[] => {
    const holding = new Set(pools.filter((pool) => pool.feeds.includes(feed)).map(({ name }) => name));
    const told = new Set(journals.filter(({ pool }) => holding.has(pool)).map(({ name }) => name));
    return collections.filter(({ journal }) => told.has(journal)).map(({ alias }) => alias);
  };
  const polled = feeds.map(({ definition, options }): FeedFacts => {
    const format: FeedFormat = feedFormats[definition.format as keyof typeof feedFormats];
    const account = format.account(options);
    const name = accountNameOf({ definition, options, format });
    return {
      definition,
      idle: null,
      collections: collectionsOf(definition.name),
      account:
        account === null || name === null
          ? null
          : {
              name,
              origin: account.origin,
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

import type { Config } from '../config/config.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import type { Micros } from '../model/clock.ts';
import type { ServedReport, StatusReport } from '../model/control.ts';
import type { CollectionDefinition, FeedDefinition } from '../model/definition.ts';
import { formatDuration } from '../model/duration.ts';
import { isStale, isStalled } from '../model/freshness.ts';
import { indexServed } from '../model/served.ts';
import { type AccountState, type FeedState, heldIn, type RejectionCount } from '../model/state.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { Reader } from '../store/store.ts';
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

/** What the configuration says of each feed, idle ones last. Routes have it, for they know neither formats nor budgets. */
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
  return [...polled, ...idle];
}

/** What the publisher of a feed asks of everyone who uses its data. */
export function termsOf({ attribution, terms, redistribution = 'unknown' }: FeedDefinition): FeedTerms {
  return { attribution: attribution ?? null, terms: terms ?? null, redistribution };
}

type FeedTerms = Pick<StatusReport['feeds'][number], 'attribution' | 'terms' | 'redistribution'>;

/** A feed as `sluice status`, `/api/v1/feeds` and `/metrics` report it. */
export interface FeedReport {
  facts: FeedFacts;
  state: FeedState;
  /** False before its first poll: nothing was ever saved of it. */
  wasPolled: boolean;
  /** No whole pull for twice its interval, or none ever. */
  stale: boolean;
  /** Its list has not changed for longer than its publisher promises: a sentence that says so; null: it has, or there is no promise. */
  stalled: string | null;
  /** By collection, in the order of the configuration: held = live + left out + unaccounted. */
  served: ServedReport[];
}

/** Reads the state of feeds, and what collections serve of them. */
export async function readFeeds(
  store: Pick<Reader, 'feedState' | 'feedStates' | 'served'>,
  { feeds, collections, now }: { feeds: readonly FeedFacts[]; collections: CollectionDefinition[]; now: Micros },
): Promise<FeedReport[]> {
  const states = new Map((await store.feedStates()).map((state) => [state.feed, state]));
  const servedIn = indexServed(await store.served());
  return Promise.all(
    feeds.map(async (facts) => {
      const { name, every } = facts.definition;
      const saved = states.get(name);
      const state = saved ?? (await store.feedState(name));
      const behind = collections.filter(({ alias }) => facts.collections.includes(alias));
      const served = behind.map(({ alias, journal, types }) => {
        const { live, leftOut } = servedIn(name, { journal, types });
        const unaccounted = heldIn(state) - live - sumOf(leftOut.map(({ rows }) => rows));
        return { collection: alias, live, leftOut, unaccounted };
      });
      return {
        facts,
        state,
        wasPolled: saved !== undefined,
        stale: isStale(state, every, now),
        stalled: stalledText(facts.definition, state),
        served,
      };
    }),
  );
}

function stalledText({ freshWithin }: FeedDefinition, state: FeedState): string | null {
  if (freshWithin === undefined || state.changedAt === null || !isStalled(state, freshWithin)) return null;
  return `The list last changed at ${formatMillis(state.changedAt)}, and should every ${formatDuration(freshWithin)} (fresh_within). What it holds is still served.`;
}

/** Rows of a feed for which read + split = held + folded + gone + filtered + refused isn't so: a fault. Notes refuse no row. */
export function unaccountedOf(state: FeedState, counts: readonly RejectionCount[]): number {
  const refused = counts.filter(({ isNote }) => !isNote).map(({ count }) => count);
  const { read, split, folded, gone, filtered } = state;
  return read + split - heldIn(state) - folded - gone - filtered - sumOf(refused);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

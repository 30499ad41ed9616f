import type { Config } from '../config/config.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { RejectionReport, ServedReport, SinkStatus, StatusReport } from '../model/control.ts';
import type { CollectionDefinition, FeedDefinition } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import { isStale } from '../model/freshness.ts';
import { indexServed, type ServedIn } from '../model/served.ts';
import type { FeedState } from '../model/state.ts';
import type { Reader } from '../store/store.ts';
import { version } from '../version.ts';

export interface StatusSources {
  config: Config;
  clock: Clock;
  store: Reader;
  startedAt: Micros;
  /** Of the sinks that are on. */
  sinks: { status(): Promise<SinkStatus[]> };
}

/** The state of everything: feeds, accounts, sinks, collections. */
export async function readStatus({ config, clock, store, startedAt, sinks }: StatusSources): Promise<StatusReport> {
  const now = clock.now();
  const heads = new Map((await store.journals()).map(({ name, head }) => [name, head]));
  const servedIn = indexServed(await store.served());
  const stateOf = async ({ name, every }: FeedDefinition) => {
    const state = await store.feedState(name);
    const refused = (await store.rejections(name, 0)).counts.filter(({ isNote }) => !isNote);
    const { read, split, folded, gone } = state;
    return {
      ...state,
      pools: config.pools.filter((pool) => pool.feeds.includes(name)).map((pool) => pool.name),
      stale: isStale(state, every, now),
      refused,
      unaccounted: read + split - heldOf(state) - folded - gone - sumOf(refused.map(({ count }) => count)),
      served: servedOf(config, servedIn, state),
    };
  };
  const states = await Promise.all([
    ...configuredFeeds(config).map(async ({ definition, format, options }) => ({
      ...(await stateOf(definition)),
      account: format.account(options)?.origin ?? null,
      idle: null,
    })),
    ...config.idleFeeds.map(async ({ definition, reason }) => ({
      ...(await stateOf(definition)),
      account: null,
      idle: reason,
    })),
  ]);
  const collections = config.collections.map(async ({ alias, id, title, journal, types }) => {
    const live = heads.has(journal) ? await store.countLive(journal) : {};
    const seen = Object.entries(live).filter(([type]) => types === null || types.includes(type as never));
    return { alias, id, title, journal, head: heads.get(journal) ?? null, live: Object.fromEntries(seen) };
  });
  return {
    version,
    startedAt,
    now,
    storeFault: store.fault(),
    feeds: states,
    accounts: await store.accounts(),
    sinks: [...(await sinks.status()), ...config.idleSinks.map(idleStatus)],
    collections: await Promise.all(collections),
  };
}

function idleStatus({ name, kind, reason }: Config['idleSinks'][number]): SinkStatus {
  return { name, kind, idle: reason, collections: [], failed: 0, failures: 0, error: null };
}

/** Rows of a feed that were refused, and rows that are held and that some collection leaves out. Throws `not-found`. */
export async function readRejections(
  { config, store }: Pick<StatusSources, 'config' | 'store'>,
  feed: string,
  limit: number,
): Promise<RejectionReport> {
  if (![...config.feeds, ...config.idleFeeds].some(({ definition }) => definition.name === feed)) {
    throw new GatewayError('not-found', `No feed is called ${feed}.`);
  }
  const { counts, rows } = await store.rejections(feed, limit);
  const collections = collectionsBehind(config, feed);
  const leftOut = new Map<string, RejectionReport['leftOut'][number]>();
  for (const journal of new Set(collections.map((collection) => collection.journal))) {
    const aliases = collections.filter((collection) => collection.journal === journal).map(({ alias }) => alias);
    for (const row of await store.leftOut(journal, feed, limit)) {
      const name = `${row.reason} ${row.kind} ${row.value}`;
      const known = leftOut.get(name);
      if (known === undefined) leftOut.set(name, { ...row, collections: aliases });
      else known.collections = [...known.collections, ...aliases];
    }
  }
  const served = servedOf(config, indexServed(await store.served()), await store.feedState(feed));
  return { counts, rows, served, leftOut: [...leftOut.values()].slice(0, limit) };
}

function servedOf(config: Config, servedIn: ServedIn, state: FeedState): ServedReport[] {
  return collectionsBehind(config, state.feed).map((collection) => {
    const { live, leftOut } = servedIn(state.feed, collection);
    const unaccounted = heldOf(state) - live - sumOf(leftOut.map(({ rows }) => rows));
    return { collection: collection.alias, live, leftOut, unaccounted };
  });
}

function collectionsBehind({ pools, journals, collections }: Config, feed: string): CollectionDefinition[] {
  const holding = new Set(pools.filter((pool) => pool.feeds.includes(feed)).map(({ name }) => name));
  const told = new Set(journals.filter(({ pool }) => holding.has(pool)).map(({ name }) => name));
  return collections.filter(({ journal }) => told.has(journal));
}

function heldOf({ observations, objects }: FeedState): number {
  return observations + objects;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

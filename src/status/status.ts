import type { Config } from '../config/config.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { RejectionReport, SinkStatus, StatusReport } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import type { Reader } from '../store/store.ts';
import { version } from '../version.ts';
import { feedFactsOf, readFeeds, termsOf, unaccountedOf } from './feeds.ts';

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
  const read = await readFeeds(store, { feeds: feedFactsOf(config), collections: config.collections, now });
  const feeds = read.map(async ({ facts, state, stale, stalled, served }) => {
    const { counts } = await store.rejections(state.feed, 0);
    return {
      ...state,
      account: facts.account?.origin ?? null,
      idle: facts.idle,
      pools: config.pools.filter((pool) => pool.feeds.includes(state.feed)).map((pool) => pool.name),
      stale,
      stalled,
      ...termsOf(facts.definition),
      refused: counts.filter(({ isNote }) => !isNote),
      unaccounted: unaccountedOf(state, counts),
      served,
    };
  });
  const collections = config.collections.map(async ({ alias, id, title, journal, types }) => {
    const live = heads.has(journal) ? await store.countLive(journal) : {};
    const seen = Object.entries(live).filter(([type]) => types === null || types.some((one) => one === type));
    return { alias, id, title, journal, head: heads.get(journal) ?? null, live: Object.fromEntries(seen) };
  });
  return {
    version,
    startedAt,
    now,
    storeFault: store.fault(),
    feeds: await Promise.all(feeds),
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
  { config, clock, store }: Pick<StatusSources, 'config' | 'clock' | 'store'>,
  feed: string,
  limit: number,
): Promise<RejectionReport> {
  const facts = feedFactsOf(config).find(({ definition }) => definition.name === feed);
  if (facts === undefined) throw new GatewayError('not-found', `No feed is called ${feed}.`);
  const { counts, rows } = await store.rejections(feed, limit);
  const collections = config.collections.filter(({ alias }) => facts.collections.includes(alias));
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
  const [read] = await readFeeds(store, { feeds: [facts], collections: config.collections, now: clock.now() });
  return { counts, rows, served: read?.served ?? [], leftOut: [...leftOut.values()].slice(0, limit) };
}

import type { Config } from './config/config.ts';
import { type Clock, MICROS_PER_MS } from './model/clock.ts';
import type { SinkStatus, StatusReport } from './model/control.ts';
import type { FeedDefinition } from './model/definition.ts';
import type { ConfiguredFeed } from './pipeline/poll.ts';
import type { Writer } from './store/store.ts';
import { version } from './version.ts';

/** How everything stands, for a person: feeds, what their accounts have left, collections, sinks. */
export async function statusOf(
  config: Config,
  feeds: ConfiguredFeed[],
  store: Writer,
  startedAt: number,
  clock: Clock,
  sinks: SinkStatus[],
): Promise<StatusReport> {
  const now = clock.now();
  const heads = new Map((await store.journals()).map(({ name, head }) => [name, head]));
  const stateOf = async ({ name, every }: FeedDefinition) => {
    const state = await store.feedState(name);
    return {
      ...state,
      pools: config.pools.filter((pool) => pool.feeds.includes(name)).map((pool) => pool.name),
      stale: state.succeededAt === null || now - state.succeededAt > 2 * every * MICROS_PER_MS,
    };
  };
  const states = await Promise.all([
    ...feeds.map(async ({ definition, format, options }) => ({
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
    sinks: [...sinks, ...config.idleSinks.map(idleStatus)],
    collections: await Promise.all(collections),
  };
}

function idleStatus({ name, kind, reason }: Config['idleSinks'][number]): SinkStatus {
  return { name, kind, idle: reason, collections: [], failed: 0, failures: 0, error: null };
}

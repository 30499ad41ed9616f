import { bulkhead } from 'cockatiel';
import { createKey, hashKey } from './auth.ts';
import type { Config } from './config/config.ts';
import { feedFormats } from './feeds/registry.ts';
import { type Clock, MICROS_PER_MS } from './model/clock.ts';
import type { Control, DeliveryReport, PollReport, SinkStatus, StatusReport } from './model/control.ts';
import type { FeedDefinition } from './model/definition.ts';
import { GatewayError } from './model/error.ts';
import type { Client } from './model/state.ts';
import { Delivery, shownSetup } from './pipeline/delivery.ts';
import type { Flights } from './pipeline/flights.ts';
import type { ResolveAll } from './pipeline/guard.ts';
import { Journals } from './pipeline/journals.ts';
import { keepPace } from './pipeline/outcome.ts';
import { type ConfiguredFeed, poll, type Upstream } from './pipeline/poll.ts';
import { refreshOverdue } from './pipeline/refresh.ts';
import { runSchedule } from './pipeline/schedule.ts';
import { accountNameOf, createDispatchers, limitsOf, openUpstream } from './pipeline/upstream.ts';
import { sinkKinds } from './sinks/registry.ts';
import type { Sink, SinkKind } from './sinks/sink.ts';
import { identityId } from './stix/id.ts';
import { producingIdentity } from './stix/identity.ts';
import { markingsUpTo } from './stix/marking.ts';
import { storeEngines } from './store/registry.ts';
import type { Writer } from './store/store.ts';
import { version } from './version.ts';

export interface WriterSide extends Control {
  /** Polls and ticks by the clock until closed. */
  start(): void;
  /** Brings journals up to a changed configuration; done once before the first poll. */
  reconcile(): Promise<void>;
  /** Turns what time has done into entries now, as happens every minute after `start`. */
  tick(): Promise<void>;
  /** Somebody reads this journal: feeds behind it that are overdue may be tried again. Answers nothing, never throws. */
  touch(journal: string): void;
  /** Delivers to this sink now, as happens every few seconds after `start`. Throws as `rebuildSink`. */
  deliver(sink: string): Promise<DeliveryReport>;
  /** Adds the client `initial` with the key of this hash, unless there is or was any client; answers whether it did. */
  addFirstClient(keyHash: string): Promise<boolean>;
  /** Waits for what is being written, then closes the store. */
  close(): Promise<void>;
}

export interface WriterOptions {
  clock: Clock;
  /** Clients changed: whoever serves must know within a second. */
  onClients(clients: Client[]): void;
  /** Something went wrong that nobody waits for. */
  onError(error: unknown): void;
  /** A poll ended, by the schedule or for somebody. */
  onPoll?(report: PollReport): void;
  /** How names are looked up; for tests. */
  resolveAll?: ResolveAll;
}

const firstClient = { name: 'initial', collections: null, tlp: 'amber', rate: { max: 600, per: 60_000 } } as const;

/** Each holds some megabytes while it reads; what waits in a bulkhead holds nothing. */
const POLLS_AT_ONCE = 16;

/** Everything that writes, behind one door: fetch to commit, the minute tick, and what commands ask for. */
export async function openWriterSide(config: Config, options: WriterOptions): Promise<WriterSide> {
  const { clock, onClients, onError } = options;
  const engine = storeEngines[config.store as keyof typeof storeEngines];
  const writer = await engine.openWriter(config.data, clock);
  const namespace = await writer.namespace();
  const stop = new AbortController();
  const startedAt = clock.now();
  const userAgent = `Sluice/${version} (threat-intelligence gateway)`;
  const feeds = configuredFeeds(config);
  // Feeds that aren't polled now still speak for what they said.
  const definitions = [...config.feeds, ...config.idleFeeds].map(({ definition }) => definition);
  const journals = new Journals({
    clock,
    writer,
    namespace,
    feeds: definitions,
    pools: config.pools,
    journals: config.journals,
    collections: config.collections,
    companyOf: ({ policy }) => [
      producingIdentity(namespace, config.identity.name, clock.now()),
      ...markingsUpTo(policy.tlp),
    ],
  });
  const polling = new Map<string, ReturnType<typeof poll>>();
  const polls = bulkhead(POLLS_AT_ONCE, feeds.length);
  const flights: Flights = new Map();
  const dispatchers = createDispatchers(options.resolveAll);
  const limits = limitsOf(feeds);
  const accountOf = (feed: ConfiguredFeed) => {
    const name = accountNameOf(feed);
    const allowed = limits.get(name ?? '');
    return name === null || allowed === undefined ? null : { name, limits: allowed };
  };
  const upstreamOf = (feed: ConfiguredFeed): Promise<Upstream> =>
    openUpstream(feed, {
      writer,
      clock,
      base: config.base,
      userAgent,
      signal: stop.signal,
      limits: accountOf(feed)?.limits ?? null,
      dispatchers: dispatchers.of(feed),
      flights,
    });

  /** One poll of a feed at a time; whoever asks meanwhile gets the one that runs. */
  const pollOnce = (name: string): ReturnType<typeof poll> => {
    const feed = feeds.find(({ definition }) => definition.name === name);
    if (feed === undefined) throw notPolled(name, config);
    const running = polling.get(name);
    if (running !== undefined) return running;
    const parts = { clock, writer, journals, openUpstream: upstreamOf, report: onError, signal: stop.signal };
    const started = polls.execute(() => poll(feed, parts));
    polling.set(name, started);
    return started
      .then((report) => {
        options.onPoll?.(report);
        return report;
      })
      .finally(() => polling.delete(name));
  };

  const refreshing = new Map<string, Promise<void>>();
  const refreshPool = (name: string): void => {
    const pool = config.pools.find((pool) => pool.name === name);
    if (pool === undefined || refreshing.has(name) || stop.signal.aborted) return;
    const behind = feeds.filter(({ definition }) => pool.feeds.includes(definition.name));
    const refresh = refreshOverdue(behind, { clock, store: writer, accountOf, poll: pollOnce })
      .catch(onError)
      .finally(() => refreshing.delete(name));
    refreshing.set(name, refresh);
  };

  const openSink = ({ name, kind, options }: Pick<Config['sinks'][number], 'name' | 'kind' | 'options'>): Sink => {
    const context = { name, options, base: config.base, identityId: identityId(namespace), clock, userAgent };
    return (sinkKinds[kind as keyof typeof sinkKinds] as SinkKind).open(context);
  };
  const sinks = config.sinks.map(({ name, kind, collections, every, ...rest }) => {
    return { name, kind, sink: openSink({ name, kind, ...rest }), collections, every };
  });
  const deliveries = new Map(
    sinks.map((own) => {
      const keepOf = (journal: string): number => config.journals.find((j) => j.name === journal)?.keep ?? 0;
      const parts = { clock, store: writer, keepOf, report: onError, signal: stop.signal };
      const others = sinks.filter(({ name, sink }) => name !== own.name && sink.place === own.sink.place);
      const elsewhere = new Set(others.flatMap(({ collections }) => collections.map(({ alias }) => alias)));
      return [own.name, { delivery: new Delivery({ ...own, elsewhere }, parts), sink: own.sink }];
    }),
  );
  const deliveryOf = (name: string): Delivery => {
    const found = deliveries.get(name)?.delivery;
    if (found === undefined) throw new GatewayError('not-found', `No sink is called ${name}, or it is switched off.`);
    return found;
  };

  let background: Promise<unknown> = Promise.resolve();
  /** Journals hear nothing before they are what the configuration says. */
  let reconciled: Promise<void> = Promise.resolve();
  return {
    reconcile() {
      reconciled = (async () => {
        await journals.reconcile(stop.signal);
        for (const { definition } of feeds) await keepPace(definition, { writer });
      })();
      return reconciled;
    },
    tick: async () => void (await journals.tick(stop.signal)),
    start() {
      background = Promise.all([
        runSchedule({
          clock,
          store: writer,
          feeds,
          poll: pollOnce,
          tick: async () => void (await journals.tick(stop.signal)),
          report: onError,
          signal: stop.signal,
        }),
        ...[...deliveries.values()].map(({ delivery }) => delivery.run()),
      ]);
    },
    async close() {
      stop.abort(new GatewayError('unavailable', 'Sluice is stopping.'));
      await Promise.allSettled([background, ...polling.values(), ...refreshing.values()]);
      await dispatchers.close();
      await Promise.allSettled([...deliveries.values()].map(({ sink }) => sink.close()));
      await writer.close();
    },
    touch(name) {
      const journal = config.journals.find((journal) => journal.name === name);
      if (journal !== undefined) refreshPool(journal.pool);
    },
    async poll(name) {
      await reconciled;
      return pollOnce(name);
    },
    status: async () => {
      const sinks = [...deliveries.values()].map(({ delivery }) => delivery.status());
      return statusOf(config, feeds, writer, startedAt, clock, await Promise.all(sinks));
    },
    deliver: async (name) => deliveryOf(name).once(),
    async setUpSink(name, dryRun) {
      // Its key may be what the dry run tells how to make.
      const idle = dryRun ? config.idleSinks.find((sink) => sink.name === name) : undefined;
      return idle === undefined ? deliveryOf(name).setUp(dryRun) : shownSetup(openSink(idle));
    },
    retrySink: async (name) => deliveryOf(name).redeliver(),
    rebuildSink: async (name) => deliveryOf(name).rebuild(),
    rebuildProgress: async (name) => deliveryOf(name).progress(),
    deadLetters: async (name, limit) => {
      if (![...config.sinks, ...config.idleSinks].some((sink) => sink.name === name)) deliveryOf(name);
      return writer.deadLetters(name, null, limit);
    },
    async rejections(feed, limit) {
      if (!definitions.some(({ name }) => name === feed)) {
        throw new GatewayError('not-found', `No feed is called ${feed}.`);
      }
      return writer.rejections(feed, limit);
    },
    async addClient(client) {
      const unknown = (client.collections ?? []).filter((name) => !config.collections.some((c) => c.alias === name));
      if (unknown.length > 0) throw new GatewayError('unprocessable', `No such collection: ${unknown.join(', ')}.`);
      const certificates = client.certificates ?? [];
      // Who signs in with a certificate has no key that could be lost as well.
      const key = certificates.length > 0 ? null : createKey();
      await writer.transaction(async (tx) => {
        const standing = (await tx.clients()).filter(({ revokedAt }) => revokedAt === null);
        if (standing.some(({ name }) => name === client.name)) {
          throw new GatewayError('unprocessable', `A client called ${client.name} exists already.`);
        }
        const other = standing.find((known) => certificates.some((each) => known.certificates.includes(each)));
        if (other !== undefined) {
          throw new GatewayError('unprocessable', `The client ${other.name} has this certificate already.`);
        }
        const keyHashes = key === null ? [] : [hashKey(key)];
        await tx.saveClient({ ...client, createdAt: clock.now(), revokedAt: null, keyHashes, certificates });
      });
      onClients(await writer.clients());
      return { ...client, key };
    },
    async addFirstClient(keyHash) {
      const isFirst = await writer.transaction(async (tx) => {
        if ((await tx.clients()).length > 0) return false;
        const standing = { createdAt: clock.now(), revokedAt: null, keyHashes: [keyHash], certificates: [] };
        await tx.saveClient({ ...firstClient, ...standing });
        return true;
      });
      onClients(await writer.clients());
      return isFirst;
    },
    listClients: () => writer.clients(),
    async revokeClient(name) {
      await writer.transaction(async (tx) => {
        const client = (await tx.clients()).find((c) => c.name === name && c.revokedAt === null);
        if (client === undefined) throw new GatewayError('not-found', `No client is called ${name}.`);
        await tx.saveClient({ ...client, revokedAt: clock.now() });
      });
      onClients(await writer.clients());
    },
  };
}

function notPolled(name: string, { idleFeeds }: Config): GatewayError {
  const idle = idleFeeds.find(({ definition }) => definition.name === name);
  if (idle === undefined) return new GatewayError('not-found', `No feed is called ${name}.`);
  const why = idle.reason === 'disabled' ? 'it is switched off (enabled: false)' : 'its optional key is not there';
  return new GatewayError('unprocessable', `The feed ${name} is not polled: ${why}.`);
}

/** Feeds that are polled, each with its format. */
export function configuredFeeds(config: Pick<Config, 'feeds'>): ConfiguredFeed[] {
  return config.feeds.map(({ definition, options, upstream }) => ({
    definition,
    options,
    upstream,
    format: feedFormats[definition.format as keyof typeof feedFormats],
  }));
}

async function statusOf(
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
    feeds: states,
    accounts: await store.accounts(),
    sinks: [...sinks, ...config.idleSinks.map(idleStatus)],
    collections: await Promise.all(collections),
  };
}

function idleStatus({ name, kind, reason }: Config['idleSinks'][number]): SinkStatus {
  return { name, kind, idle: reason, collections: [], failed: 0, failures: 0, error: null };
}

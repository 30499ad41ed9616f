import type { Config } from '../config/config.ts';
import type { ConfiguredFeed } from '../feeds/feed.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import { poll } from '../ingest/poll.ts';
import { keepPace } from '../ingest/poll-state.ts';
import { refreshOverdue } from '../ingest/refresh.ts';
import { runSchedule } from '../ingest/schedule.ts';
import { type Clock, MICROS_PER_MS } from '../model/clock.ts';
import type { Control, PollReport } from '../model/control.ts';
import { GatewayError, type StoreFault } from '../model/error.ts';
import { createSemaphore } from '../model/semaphore.ts';
import type { Client } from '../model/state.ts';
import { Journals } from '../publish/journals.ts';
import { rejectionsOf, statusOf } from '../status/status.ts';
import { producingIdentity } from '../stix/identity.ts';
import { markingsUpTo } from '../stix/marking.ts';
import { Commits } from '../store/commits.ts';
import { storeOf } from '../store/registry.ts';
import { accountNameOf, accountsOf } from '../upstream/account.ts';
import { createDispatchers, type ResolveAll } from '../upstream/dispatcher.ts';
import type { FetchedAnswer } from '../upstream/fetch.ts';
import { createReadSemaphore } from '../upstream/read-semaphore.ts';
import type { Flights } from '../upstream/single-flight.ts';
import { openUpstream, type Upstream } from '../upstream/upstream.ts';
import { version } from '../version.ts';
import { administerClients, type ClientAdministration } from './clients.ts';
import { openSinks, type SinkAdministration } from './sinks.ts';

export interface WriterSide extends Control, ClientAdministration, SinkAdministration {
  /** Polls and ticks by the clock until closed. */
  start(): void;
  /** Brings journals up to a changed configuration; done once before the first poll. */
  reconcile(): Promise<void>;
  /** Turns what time has done into entries now, as happens every minute after `start`. */
  tick(): Promise<void>;
  /** Somebody reads this journal: feeds behind it that are overdue may be tried again. Answers nothing, never throws. */
  touch(journal: string): void;
  /** Waits for what is being written, then closes the store. */
  close(): Promise<void>;
}

export interface WriterOptions {
  clock: Clock;
  /** Clients changed: whoever serves must know within a second. */
  onClients(clients: Client[]): void;
  /** Something went wrong that nobody waits for. */
  onError(error: unknown): void;
  /** Dates that readers page by are ahead of the clock, in milliseconds: it was set back. Told once until it has caught up. */
  onDatesAhead?(ahead: number): void;
  /** What is wrong with the store as a whole changed; null: nothing is any more. */
  onStoreFault?(fault: StoreFault | null): void;
  /** A poll ended, by the schedule or for somebody. */
  onPoll?(report: PollReport): void;
  /** Who reads in this process, and must hear of what is committed. */
  commits?: Commits;
  /** How names are looked up; for tests. */
  resolveAll?: ResolveAll;
}

/** A large batch's own dates may be a little ahead. */
const DATES_AHEAD_MS = 2000;

/** Most of them wait for an upstream; how many hold what they read is bounded on its own (upstream/read-semaphore.ts). */
const POLLS_AT_ONCE = 16;

/** Everything that writes, behind one door: fetch to commit, the minute tick, and what commands ask for. */
export async function openWriterSide(config: Config, options: WriterOptions): Promise<WriterSide> {
  const { clock, onClients, onError } = options;
  const store = storeOf(config);
  const commits = options.commits ?? new Commits();
  const writer = await store.openWriter(clock, commits);
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
    idle: new Set(config.idleFeeds.map(({ definition }) => definition.name)),
    pools: config.pools,
    journals: config.journals,
    collections: config.collections,
    producerObjectsOf: ({ policy }) => [
      producingIdentity(namespace, config.identity, clock.now()),
      ...markingsUpTo(policy.tlp, policy.tlpVersion),
    ],
  });
  let toldFault: StoreFault | null = null;
  const tellFault = (): void => {
    const fault = writer.fault();
    if (fault === toldFault) return;
    toldFault = fault;
    options.onStoreFault?.(fault);
  };
  /** What can't be read back is found before somebody asks for it. */
  const checkStore = async (): Promise<void> => {
    const complaint = await store.check(stop.signal);
    if (complaint === null) return;
    commits.found('store-damaged');
    onError(new GatewayError('store-damaged', `The file of the store is damaged: ${complaint}`));
    tellFault();
  };

  const polling = new Map<string, ReturnType<typeof poll>>();
  const polls = createSemaphore(POLLS_AT_ONCE);
  // Files on this machine wait for no upstream.
  const localPolls = createSemaphore(POLLS_AT_ONCE);
  const flights: Flights<FetchedAnswer> = new Map();
  const openPermit = createReadSemaphore(stop.signal);
  const dispatchers = createDispatchers(options.resolveAll);
  const accounts = accountsOf(feeds);
  const accountOf = (feed: ConfiguredFeed) => accounts.get(accountNameOf(feed) ?? '') ?? null;
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
      permit: openPermit(),
    });

  /** One poll of a feed at a time; whoever asks meanwhile gets the one that runs. */
  const pollOnce = (name: string): ReturnType<typeof poll> => {
    const feed = feeds.find(({ definition }) => definition.name === name);
    if (feed === undefined) throw notPolled(name, config);
    const running = polling.get(name);
    if (running !== undefined) return running;
    const parts = { clock, writer, journals, openUpstream: upstreamOf, report: onError, signal: stop.signal };
    const started = (accountOf(feed) === null ? localPolls : polls).run(() => poll(feed, parts));
    polling.set(name, started);
    return started
      .then((report) => {
        options.onPoll?.(report);
        tellFault();
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

  const sinks = openSinks(config, { clock, writer, namespace, userAgent, onError, signal: stop.signal });

  let areDatesAhead = false;
  const tick = async (): Promise<void> => {
    await journals.tick(stop.signal).finally(tellFault);
    const newest = Math.max(0, ...(await writer.journals()).map(({ head }) => head ?? 0));
    const ahead = (newest - clock.now()) / MICROS_PER_MS;
    if (ahead > DATES_AHEAD_MS && !areDatesAhead) options.onDatesAhead?.(ahead);
    areDatesAhead = ahead > DATES_AHEAD_MS;
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
    tick,
    start() {
      background = Promise.all([
        runSchedule({
          clock,
          store: writer,
          feeds,
          poll: pollOnce,
          tick,
          report: onError,
          signal: stop.signal,
        }),
        sinks.run(),
        checkStore().catch((error: unknown) => {
          if (!stop.signal.aborted) onError(error);
        }),
      ]);
    },
    async close() {
      stop.abort(new GatewayError('unavailable', 'Sluice is stopping.'));
      await Promise.allSettled([background, ...polling.values(), ...refreshing.values()]);
      await dispatchers.close();
      await sinks.close();
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
    status: async () => statusOf(config, feeds, writer, startedAt, clock, await sinks.status()),
    ...sinks.methods,
    async rejections(feed, limit) {
      if (!definitions.some(({ name }) => name === feed)) {
        throw new GatewayError('not-found', `No feed is called ${feed}.`);
      }
      return rejectionsOf(config, writer, feed, limit);
    },
    ...administerClients(config, { clock, writer, onClients }),
  };
}

function notPolled(name: string, { idleFeeds }: Config): GatewayError {
  const idle = idleFeeds.find(({ definition }) => definition.name === name);
  if (idle === undefined) return new GatewayError('not-found', `No feed is called ${name}.`);
  const why = idle.reason === 'disabled' ? 'it is switched off (enabled: false)' : 'its optional key is not there';
  return new GatewayError('unprocessable', `The feed ${name} is not polled: ${why}.`);
}

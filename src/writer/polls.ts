import type { Config } from '../config/config.ts';
import type { ConfiguredFeed } from '../feeds/feed.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import { type PollOptions, poll } from '../ingest/poll.ts';
import { refreshOverdue } from '../ingest/refresh.ts';
import { tryFeed } from '../ingest/try.ts';
import type { Clock } from '../model/clock.ts';
import type { PollReport, ReadProgress, TryReport } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import { createSemaphore } from '../model/semaphore.ts';
import { type Flights, shareFlight } from '../model/single-flight.ts';
import type { Journals } from '../publish/journals.ts';
import type { Writer } from '../store/store.ts';
import { accountNameOf, accountsOf } from '../upstream/account.ts';
import { createDispatchers, type ResolveAll } from '../upstream/dispatcher.ts';
import type { FetchedAnswer } from '../upstream/fetch.ts';
import { createReadSemaphore } from '../upstream/read-semaphore.ts';
import { openUpstream, type Upstream } from '../upstream/upstream.ts';

export interface Polls {
  /**
   * Polls a feed. Who asks while a poll of the feed runs gets the report of that one; to accept a shrink, another
   * follows it. Throws `not-found` for a feed that is not configured, and `unprocessable` for one that is idle.
   */
  poll(feed: string, options?: PollOptions): Promise<PollReport>;
  /** The same, after a poll of the feed that runs. */
  pollAnew(feed: string): Promise<PollReport>;
  /** Reads a feed without writing what it says, and shows so many rows. Throws as `poll`. */
  tryFeed(feed: string, rows: number): Promise<TryReport>;
  /** How far the feed is read that is polled or tried now; null: it is not, or nothing came yet. */
  readProgress(feed: string): ReadProgress | null;
  /** A journal was read: feeds behind it that are overdue may be tried again. Never throws. */
  refreshOnRead(journal: string): void;
  /** Waits for the polls that run, which the signal ends. */
  close(): Promise<void>;
}

export interface PollsParts {
  clock: Clock;
  writer: Writer;
  journals: Journals;
  userAgent: string;
  /** How names are looked up; for tests. */
  resolveAll: ResolveAll | undefined;
  /** Called after each poll, however it ended. */
  onPoll(report: PollReport): void;
  onError(error: unknown): void;
  signal: AbortSignal;
}

/** Most of them wait for an upstream; how many hold what they read is bounded on its own (upstream/read-semaphore.ts). */
const POLLS_AT_ONCE = 16;

/** Polls of the configured feeds: one at a time per feed, a bounded number over all. */
export function openPolls(config: Config, parts: PollsParts): Polls {
  const { clock, writer, journals, onError, signal } = parts;
  const feeds = configuredFeeds(config);
  const running: Flights<PollReport> = new Map();
  const remotePolls = createSemaphore(POLLS_AT_ONCE);
  // Files on this machine wait for no upstream.
  const localPolls = createSemaphore(POLLS_AT_ONCE);
  const flights: Flights<FetchedAnswer> = new Map();
  const openPermit = createReadSemaphore(signal);
  const dispatchers = createDispatchers(parts.resolveAll);
  const accounts = accountsOf(feeds);
  const accountOf = (feed: ConfiguredFeed) => accounts.get(accountNameOf(feed) ?? '') ?? null;
  const partsOf = (feed: ConfiguredFeed) => ({
    writer,
    clock,
    base: config.base,
    userAgent: parts.userAgent,
    signal,
    limits: accountOf(feed)?.limits ?? null,
    dispatchers: dispatchers.of(feed),
    flights,
    permit: openPermit(),
  });
  const reading = new Map<string, { rows: number; upstream: Upstream }>();
  const noteReading = async (name: string, opened: Promise<Upstream>): Promise<Upstream> => {
    const upstream = await opened;
    reading.set(name, { rows: 0, upstream });
    return upstream;
  };
  const onRows = (name: string) => (rows: number) => {
    const one = reading.get(name);
    if (one !== undefined) one.rows = rows;
  };
  const open = (feed: ConfiguredFeed) => noteReading(feed.definition.name, openUpstream(feed, partsOf(feed)));
  // A try that ends early must not end a request that a poll shares.
  const openAnew = (feed: ConfiguredFeed, signal: AbortSignal) =>
    noteReading(
      feed.definition.name,
      openUpstream(feed, { ...partsOf(feed), signal, flights: new Map(), isAnew: true }),
    );
  const find = (name: string): ConfiguredFeed => {
    const feed = feeds.find(({ definition }) => definition.name === name);
    if (feed === undefined) throw notPolled(name, config);
    return feed;
  };

  const untilIdle = async (name: string): Promise<void> => {
    while (running.has(name)) await running.get(name);
  };
  const pollFeed = async (name: string, options: PollOptions = {}): Promise<PollReport> => {
    const feed = find(name);
    const polls = accountOf(feed) === null ? localPolls : remotePolls;
    if (options.acceptShrink === true) await untilIdle(name);
    const { value: report, isShared } = await shareFlight(running, name, () =>
      polls.run(() =>
        poll(
          feed,
          { clock, writer, journals, openUpstream: open, report: onError, onRows: onRows(name), signal },
          options,
        ),
      ),
    );
    if (!isShared) {
      reading.delete(name);
      parts.onPoll(report);
    }
    return report;
  };

  const refreshing = new Map<string, Promise<void>>();
  const refreshPool = (name: string): void => {
    const pool = config.pools.find((pool) => pool.name === name);
    if (pool === undefined || refreshing.has(name) || signal.aborted) return;
    const behind = feeds.filter(({ definition }) => pool.feeds.includes(definition.name));
    const refresh = refreshOverdue(behind, { clock, store: writer, accountOf, poll: pollFeed })
      .catch(onError)
      .finally(() => refreshing.delete(name));
    refreshing.set(name, refresh);
  };

  return {
    poll: pollFeed,
    async pollAnew(name) {
      await untilIdle(name);
      return pollFeed(name);
    },
    async tryFeed(name, rows) {
      const feed = find(name);
      const polls = accountOf(feed) === null ? localPolls : remotePolls;
      const tried = polls.run(() =>
        tryFeed(feed, rows, { clock, writer, openUpstream: openAnew, onRows: onRows(name), signal }),
      );
      return tried.finally(() => reading.delete(name));
    },
    readProgress(name) {
      const one = reading.get(name);
      return one === undefined
        ? null
        : { rows: one.rows, requests: one.upstream.requests(), bytes: one.upstream.bytes() };
    },
    refreshOnRead(name) {
      const journal = config.journals.find((journal) => journal.name === name);
      if (journal !== undefined) refreshPool(journal.pool);
    },
    async close() {
      await Promise.allSettled([...running.values(), ...refreshing.values()]);
      await dispatchers.close();
    },
  };
}

/** The error for a feed that is not polled: `not-found`, or `unprocessable` for one that is idle. */
export function notPolled(name: string, { idleFeeds }: Config): GatewayError {
  const idle = idleFeeds.find(({ definition }) => definition.name === name);
  if (idle === undefined) return new GatewayError('not-found', `No feed is called ${name}.`);
  const why = idle.reason === 'disabled' ? 'it is switched off (enabled: false)' : 'its optional key is not there';
  return new GatewayError('unprocessable', `The feed ${name} is not polled: ${why}.`);
}

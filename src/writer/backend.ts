import type { Config } from '../config/config.ts';
import { addFirstClient } from '../control/clients.ts';
import { type Control, controlOf } from '../control/verbs.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import { keepPace } from '../ingest/poll-state.ts';
import { runSchedule } from '../ingest/schedule.ts';
import { type Clock, MICROS_PER_MS, type Millis } from '../model/clock.ts';
import type { Contributions } from '../model/contribution.ts';
import type { DeliveryReport, PollReport } from '../model/control.ts';
import { GatewayError, type StoreFault } from '../model/error.ts';
import type { AskedType } from '../model/explain.ts';
import type { Client } from '../model/state.ts';
import { Journals } from '../publish/journals.ts';
import { reconcile } from '../publish/reconcile.ts';
import { Ticks } from '../publish/tick.ts';
import { producingIdentity } from '../stix/identity.ts';
import { markingsUpTo } from '../stix/marking.ts';
import { Commits } from '../store/commits.ts';
import { storeOf } from '../store/registry.ts';
import type { Writer } from '../store/store.ts';
import type { ResolveAll } from '../upstream/dispatcher.ts';
import { version } from '../version.ts';
import { followContributions } from './contributed-feeds.ts';
import { openContributions } from './contributions.ts';
import { openDeliveries } from './deliveries.ts';
import { explain } from './explain.ts';
import { plan } from './plan.ts';
import { openPolls } from './polls.ts';
import { openVerdicts } from './verdicts.ts';

/** Everything that writes: polls, journals, deliveries, and the verbs of operators. It needs no HTTP and no other thread. */
export interface Backend extends Control, Contributions {
  /** Adds the client `initial` with the key of this hash, unless there is or was any client. Returns whether it did. */
  addFirstClient(keyHash: string): Promise<boolean>;
  /** Brings journals up to a changed configuration; done once before the first poll. */
  reconcile(): Promise<void>;
  /** Polls, ticks and delivers by the clock until closed. */
  start(): void;
  /** Turns what time has done into entries now, as happens every minute after `start`. */
  tick(): Promise<void>;
  /** Delivers to this sink now, as happens every few seconds after `start`. Throws as the verb `retrySink`. */
  deliver(sink: string): Promise<DeliveryReport>;
  /** A journal was read: feeds behind it that are overdue may be tried again. Never throws. */
  refreshOnRead(journal: string): void;
  /** Waits for what is being written, then closes the store. */
  close(): Promise<void>;
}

export interface BackendOptions {
  clock: Clock;
  /** Clients changed: whoever serves must know within a second. */
  onClients(clients: Client[]): void;
  /** An error that no caller waits for. */
  onError(error: unknown): void;
  /** Dates that readers page by are ahead of the clock: it was set back. Called once until the clock has caught up. */
  onDatesAhead?(ahead: Millis): void;
  /** The fault of the store as a whole is another one; null: there is none any more. */
  onStoreFault?(fault: StoreFault | null): void;
  /** A poll ended, by the schedule or by request. */
  onPoll?(report: PollReport): void;
  /** Tells readers in this process of each commit. */
  commits?: Commits;
  /** How names are looked up; for tests. */
  resolveAll?: ResolveAll;
}

/** Operators of feeds ask to be told whom to write to. A header carries ASCII only, and a comment ends at its bracket. */
export function userAgentOf(contact: string | null): string {
  const plain = contact?.replace(/[^\x20-\x7e]|[()\\]/g, '').trim() ?? '';
  return `Sluice/${version} (threat-intelligence gateway${plain === '' ? '' : `; ${plain}`})`;
}

/** Opens the store, then what fills its journals (polls), what empties them (deliveries), and the verbs on all of it. */
export async function openBackend(config: Config, options: BackendOptions): Promise<Backend> {
  const { clock, onClients, onError } = options;
  const store = storeOf(config);
  const commits = options.commits ?? new Commits();
  const writer = await store.openWriter(clock, commits);
  const namespace = await writer.namespace();
  const stop = new AbortController();
  const { signal } = stop;
  const userAgent = userAgentOf(config.identity.contact);

  const journals = openJournals(config, { clock, writer, namespace });
  const ticks = new Ticks(journals);
  const reportFault = watchFault(writer, options);
  const onPoll = (report: PollReport): void => {
    options.onPoll?.(report);
    reportFault();
  };
  const { resolveAll } = options;
  const polls = openPolls(config, { clock, writer, journals, userAgent, resolveAll, onPoll, onError, signal });
  const deliveries = openDeliveries(config, { clock, writer, namespace, userAgent, onError, signal });
  const feeds = configuredFeeds(config);
  const { pollAnew } = polls;
  const onChange = followContributions(feeds, { clock, pollAnew, onError, signal });
  const contributions = openContributions(config, { clock, writer, namespace, onChange });
  const reportDatesAhead = watchDates(writer, options);
  const tick = async (): Promise<void> => {
    await ticks.tick(signal).finally(reportFault);
    await reportDatesAhead();
  };
  /** A store that can't be read back is found before a reader asks for it. */
  const checkStore = async (): Promise<void> => {
    const complaint = await store.check(signal);
    if (complaint === null) return;
    commits.found('store-damaged');
    onError(new GatewayError('store-damaged', `The file of the store is damaged: ${complaint}`));
    reportFault();
  };

  let background: Promise<unknown> = Promise.resolve();
  // Nothing is polled before journals are what the configuration says.
  let reconciled: Promise<void> = Promise.resolve();
  const poll = async (feed: string, acceptShrink: boolean): Promise<PollReport> => {
    await reconciled;
    return polls.poll(feed, { acceptShrink });
  };
  const { tryFeed, readProgress } = polls;
  const context = {
    config,
    clock,
    store: writer,
    startedAt: clock.now(),
    poll,
    tryFeed,
    readProgress,
    explain: (ioc: string, type: AskedType) => explain(config, { clock, writer, journals }, ioc, type),
    plan: (path: string) =>
      plan(config, path, {
        writer,
        openJournals: (changed) => openJournals(changed, { clock, writer, namespace }),
        signal,
      }),
    verdicts: openVerdicts(config, {
      ...{ clock, writer, journals, ready: () => reconciled },
      onPublished: deliveries.wake,
    }),
    sinks: deliveries,
    onClients,
  };
  return {
    ...controlOf(context),
    ...contributions,
    addFirstClient: (keyHash) => addFirstClient(context, keyHash),
    deliver: deliveries.deliver,
    tick,
    refreshOnRead: polls.refreshOnRead,
    reconcile() {
      reconciled = (async () => {
        await reconcile(journals, signal);
        for (const { definition } of feeds) await keepPace(definition, { writer });
      })();
      return reconciled;
    },
    start() {
      background = Promise.all([
        runSchedule({ clock, store: writer, feeds, poll: polls.poll, tick, report: onError, signal }),
        deliveries.run(),
        checkStore().catch((error: unknown) => {
          if (!signal.aborted) onError(error);
        }),
      ]);
    },
    async close() {
      stop.abort(new GatewayError('unavailable', 'Sluice is stopping.'));
      await background.catch(() => undefined);
      await polls.close();
      await deliveries.close();
      await writer.close();
    },
  };
}

interface JournalParts {
  clock: Clock;
  writer: Writer;
  namespace: string;
}

function openJournals(config: Config, { clock, writer, namespace }: JournalParts): Journals {
  return new Journals({
    clock,
    writer,
    namespace,
    // Feeds that aren't polled now keep what they have said.
    feeds: [...config.feeds, ...config.idleFeeds].map(({ definition }) => definition),
    idle: new Set(config.idleFeeds.map(({ definition }) => definition.name)),
    pools: config.pools,
    journals: config.journals,
    contributed: config.contributed,
    collections: config.collections,
    producerObjectsOf: ({ policy }) => [
      producingIdentity(namespace, config.identity, clock.now()),
      ...markingsUpTo(policy.tlp, policy.tlpVersion),
    ],
  });
}

/** Reports the fault of the store each time that it is another one than before. */
function watchFault(writer: Writer, { onStoreFault }: BackendOptions): () => void {
  let last: StoreFault | null = null;
  return () => {
    const fault = writer.fault();
    if (fault === last) return;
    last = fault;
    onStoreFault?.(fault);
  };
}

/** A large batch's own dates may be a little ahead. */
const DATES_AHEAD_MS = 2000;

/** Reports dates of journals that are ahead of the clock, once until the clock has caught up. */
function watchDates(writer: Writer, { clock, onDatesAhead }: BackendOptions): () => Promise<void> {
  let wereAhead = false;
  return async () => {
    const newest = Math.max(0, ...(await writer.journals()).map(({ head }) => head ?? 0));
    const ahead = (newest - clock.now()) / MICROS_PER_MS;
    if (ahead > DATES_AHEAD_MS && !wereAhead) onDatesAhead?.(ahead);
    wereAhead = ahead > DATES_AHEAD_MS;
  };
}

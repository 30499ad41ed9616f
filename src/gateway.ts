import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { buildApp, closeApp } from '../routes/app.ts';
import type { UnreadyReason } from '../routes/readiness.ts';
import { createClientMap } from './auth/clients.ts';
import type { Config } from './config/config.ts';
import { type ControlConnection, connectControl, serveControl } from './control/socket.ts';
import { socketPathOf } from './control/socket-path.ts';
import type { Control } from './control/verbs.ts';
import { presets } from './feeds/presets.ts';
import { configuredFeeds } from './feeds/registry.ts';
import { openBuilds } from './lists/builds.ts';
import { findDataDirectory, type LoadedFile, type Overrides } from './load.ts';
import { createLog } from './log.ts';
import { systemClock } from './model/clock.ts';
import { GatewayError, messageOf } from './model/error.ts';
import { readAsked } from './normalise/asked.ts';
import { answerBytesWithin, connectionsWithin } from './process-limits.ts';
import { feedFactsOf } from './status/feeds.ts';
import { identityId } from './stix/id.ts';
import { Commits } from './store/commits.ts';
import { makeDirectory } from './store/directory.ts';
import { storeOf } from './store/registry.ts';
import { accountsOf, allowancesOf } from './upstream/account.ts';
import { version } from './version.ts';
import { type Backend, openBackend } from './writer/backend.ts';
import { keepFirstClient } from './writer/first-client.ts';
import { startWriter } from './writer/start-worker.ts';

export { loadConfigFile } from './load.ts';
export { version } from './version.ts';
export { trySource, tryWithoutStore } from './writer/try-source.ts';

export interface ServeOptions {
  /** Prints a line for the person who started it. */
  say(line: string): void;
  /** Output goes to a terminal. Only there a new key itself is shown. */
  isTerminal: boolean;
  signal: AbortSignal;
}

/**
 * The server that runs on this file's store, or null when none does. It needs none of the keys that the file names: whoever asks
 * it has another environment than it has.
 */
export async function connectServer(path: string, overrides: Overrides): Promise<ControlConnection | null> {
  const data = await findDataDirectory(path, overrides);
  const socket = data === null ? null : socketPathOf(data);
  return socket !== null && existsSync(socket) ? connectControl(socket) : null;
}

/** Is there a preset of this name? */
export function isPreset(name: string): boolean {
  return Object.hasOwn(presets, name);
}

/**
 * Takes the lock and opens the store itself, where no server runs. `made` says where it is made when there was no store before. Throws
 * `data-locked` when a server runs, and `not-found` for want of a store unless one may be made. Journals are brought up to a changed
 * configuration first, unless it may not be done by a command that only reads.
 */
export async function openControl(
  { config }: LoadedFile,
  mayMake: boolean,
  { mayReconcile = true } = {},
): Promise<Control & { made: string | null; close(): Promise<void> }> {
  const store = storeOf(config);
  const made = (await store.exists()) ? null : store.location;
  if (made !== null && !mayMake)
    throw new GatewayError('not-found', `There is no store in ${made} yet, or it is kept elsewhere.`);
  const lock = await store.lock();
  const log = createLog(config.log.level);
  try {
    const backend = await openBackend(config, {
      clock: systemClock,
      onClients: () => undefined,
      onError: (error) => log.error({ err: error }, 'unforeseen'),
    });
    if (mayReconcile) await backend.reconcile();
    return {
      ...backend,
      made,
      async close() {
        await backend.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Delay of the event loop above which requests are refused. Readers are programs that wait for half a minute, so it is long. */
const MAX_EVENT_LOOP_DELAY_MS = 2000;
const FULL_HEAP = 0.9;

/** Runs the gateway until the signal: opens lock, writer, application and socket in this order, and closes them in reverse. */
export async function serve(loaded: LoadedFile, { say, isTerminal, signal }: ServeOptions): Promise<void> {
  const { config } = loaded;
  const store = storeOf(config);
  makeDirectory(config.data);
  const lock = await store.lock();
  const closing: (() => unknown)[] = [() => lock.release()];
  try {
    const clients = createClientMap();
    const commits = new Commits();
    const writer = await startWriter(loaded, commits, (list) => clients.replace(list));
    closing.unshift(() => writer.close());
    const reader = await store.openReader(commits);
    closing.unshift(() => reader.close());
    let unreadyReason: UnreadyReason | null = 'reconciling';
    writer.died.catch(() => {
      unreadyReason = 'writer-ended';
    });

    const accounts = accountsOf(configuredFeeds(config));
    const log = createLog(config.log.level);
    const maxConnections = connectionsInForce(config, say, log);
    const builds = openBuilds({
      store: reader,
      clock: systemClock,
      directory: join(config.data, 'lists'),
      identityId: identityId(await reader.namespace()),
      onError: (error) => log.error({ err: error }, 'a list could not be built'),
    });
    const app = buildApp({
      clock: systemClock,
      reader,
      unreadyReason: () => unreadyReason ?? (reader.fault() === 'store-damaged' ? 'store-damaged' : null),
      clients,
      lists: { named: config.lists, builds },
      collections: config.collections,
      taxii: config.taxii,
      publicUrl: config.publicUrl,
      identityId: identityId(await reader.namespace()),
      cursorSecret: await reader.cursorSecret(),
      feeds: feedFactsOf(config),
      readAsked,
      version,
      pressure: { eventLoopDelay: MAX_EVENT_LOOP_DELAY_MS, heapBytes: FULL_HEAP * getHeapStatistics().heap_size_limit },
      cacheBytes: config.cache.bytes,
      answerBytes: answerBytesWithin(config.listen.answerBytes),
      metricsAccess: config.metrics.access,
      allowances: async () => allowancesOf(accounts, await reader.accounts(), systemClock.now()),
      control: writer,
      contributions: writer,
      refreshOnRead: writer.refreshOnRead,
      tls: config.listen.tls,
      trustProxy: config.listen.behindProxy,
      maxConnections,
      maxConnectionsPerAddress: config.listen.maxConnectionsPerAddress,
      log,
    });
    closing.unshift(() => {
      unreadyReason = 'stopping';
      return closeApp(app, systemClock);
    });
    // It answers from here on, and says that it isn't ready: what takes long must not look like what is dead.
    await listen(app, config);
    const socket = await serveControl(socketPathOf(config.data), writer, { log });
    closing.unshift(() => socket.close());
    // It may take minutes, which nobody who stops a process waits for; the next start goes on.
    const stopped = aborted(signal);
    await Promise.race([writer.reconcile(), stopped, writer.died]);
    if (signal.aborted) return;
    unreadyReason = null;

    const base = `${config.listen.tls === null ? 'http' : 'https'}://${hostFor(config.listen.host)}:${portOf(app)}`;
    await welcome(config, base, writer, { say, isTerminal });
    writer.start();
    await Promise.race([stopped, writer.died]);
  } finally {
    for (const close of closing) await close();
  }
}

/** As many as configured, or as the process can hold: what is refused is refused with an answer. */
function connectionsInForce({ listen }: Config, say: ServeOptions['say'], log: ReturnType<typeof createLog>): number {
  const { most, limit } = connectionsWithin(listen.maxConnections);
  if (limit !== null) {
    const told = `listen.max_connections is ${listen.maxConnections}, but this process may open ${limit} files (ulimit -n): ${most} are in force.`;
    log.warn(told);
    say(told);
  }
  return most;
}

async function listen(app: ReturnType<typeof buildApp>, { listen: { host, port } }: Config): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw new GatewayError('unavailable', `Can't listen on ${host}:${port}: ${messageOf(cause)}`, { cause });
  }
}

function portOf(app: ReturnType<typeof buildApp>): number {
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function hostFor(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

/** The first start makes a client; every start prints a request that can be pasted. */
async function welcome(
  config: Config,
  base: string,
  backend: Pick<Backend, 'listClients' | 'addFirstClient'>,
  { say, isTerminal }: Pick<ServeOptions, 'say' | 'isTerminal'>,
): Promise<void> {
  const { path, newKey, isGood } = await keepFirstClient(config.data, backend);
  const shown = shellPath(path);
  if (newKey !== null) {
    say(`A first client, initial, may read every collection. Its key is in ${shown}.`);
    if (isTerminal) say(`  key: ${newKey}`);
  }
  say(`Sluice is listening on ${base}`);
  const root = config.taxii.apiRoots[0]?.path;
  const collection = config.collections[0]?.alias;
  if (root !== undefined && collection !== undefined) {
    const credentials = isGood ? `apikey:$(cat ${shown})` : 'apikey:YOUR_KEY';
    say('Try it:');
    // Without the filter the first objects are who issued them and their markings.
    const request = `${config.publicUrl ?? base}${root}collections/${collection}/objects/?match[type]=indicator&limit=3`;
    say(`  curl -sg -u "${credentials}" "${request}"`);
  }
}

/** As a shell reads it, inside double quotes as well: short from here where that is inside, in quotes where it must be. */
function shellPath(path: string): string {
  const near = relative(process.cwd(), path);
  const text = near.startsWith('..') ? path : near;
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

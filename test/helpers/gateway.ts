import type { AddressInfo } from 'node:net';
import pino from 'pino';
import type { Test } from 'tap';
import { buildApp } from '../../routes/app.ts';
import { createClientMap } from '../../src/auth/clients.ts';
import { hashKey } from '../../src/auth/keys.ts';
import { configuredFeeds } from '../../src/feeds/registry.ts';
import { type Clock, systemClock } from '../../src/model/clock.ts';
import type { StoreFault } from '../../src/model/error.ts';
import { readAsked } from '../../src/normalise/asked.ts';
import { feedFactsOf } from '../../src/status/feeds.ts';
import { identityId } from '../../src/stix/id.ts';
import { Commits } from '../../src/store/commits.ts';
import { storeOf } from '../../src/store/registry.ts';
import type { Reader } from '../../src/store/store.ts';
import { accountsOf, allowancesOf } from '../../src/upstream/account.ts';
import type { ResolveAll } from '../../src/upstream/dispatcher.ts';
import { type Backend, openBackend } from '../../src/writer/backend.ts';
import { NO_PRESSURE } from './app.ts';
import { loadYaml } from './config.ts';
import { openLists } from './lists.ts';

export interface TestGateway {
  side: Backend;
  reader: Reader;
  app: ReturnType<typeof buildApp>;
  /** Of a client that may read everything up to amber. */
  key: string;
  /** As the end of the test does. */
  close(): Promise<void>;
  listen(): Promise<string>;
}

/** The whole gateway in this process, on a store in `dir`, with the clock of the test. Nothing polls by itself. */
export async function openGateway(
  t: Pick<Test, 'teardown' | 'ok' | 'error'>,
  dir: string,
  yaml: string,
  options: {
    clock?: Clock;
    env?: Record<string, string>;
    listen?: string;
    resolveAll?: ResolveAll;
    onStoreFault?(fault: StoreFault | null): void;
    onError?(error: unknown): void;
  } = {},
): Promise<TestGateway> {
  const clock = options.clock ?? systemClock;
  const { config } = loadYaml(dir, yaml, options.env);
  const clients = createClientMap();
  const commits = new Commits();
  const side = await openBackend(config, {
    clock,
    commits,
    onClients: (list) => clients.replace(list),
    onError: options.onError ?? ((error) => t.error(error as Error)),
    onStoreFault: options.onStoreFault ?? (() => undefined),
    ...(options.resolveAll === undefined ? {} : { resolveAll: options.resolveAll }),
  });
  await side.reconcile();
  const known = await side.listClients();
  const rate = { max: 1_000_000, per: 60_000 };
  const { key } = await side.addClient({ name: `reader-${known.length}`, collections: null, tlp: 'amber', rate });
  if (key === null) throw new Error('a client without certificates has a key');
  const reader = await storeOf(config).openReader(commits);
  const accounts = accountsOf(configuredFeeds(config));
  const app = buildApp({
    // It looks after answers under way in time of its own: a scripted clock that hurries whoever waits must not run on for that.
    clock: { now: () => clock.now(), sleep: systemClock.sleep },
    reader,
    unreadyReason: () => (reader.fault() === 'store-damaged' ? 'store-damaged' : null),
    pressure: NO_PRESSURE,
    clients,
    lists: openLists(t, { reader, clock, named: config.lists }),
    collections: config.collections,
    taxii: config.taxii,
    publicUrl: config.publicUrl,
    identityId: identityId(await reader.namespace()),
    cursorSecret: await reader.cursorSecret(),
    feeds: feedFactsOf(config),
    readAsked,
    version: '0.0.0',
    cacheBytes: config.cache.bytes,
    metricsAccess: config.metrics.access,
    allowances: async () => allowancesOf(accounts, await reader.accounts(), clock.now()),
    control: side,
    contributions: side,
    refreshOnRead: side.refreshOnRead,
    tls: config.listen.tls,
    trustProxy: config.listen.behindProxy,
    maxConnections: config.listen.maxConnections,
    maxConnectionsPerAddress: config.listen.maxConnectionsPerAddress,
    answerBytes: config.listen.answerBytes,
    log: pino({ level: 'silent' }),
  });
  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    await app.close();
    await reader.close();
    await side.close();
  };
  t.teardown(() => (closed ??= close()));
  t.ok(clients.find(hashKey(key)) !== null, 'the test has a key');
  return {
    side,
    reader,
    app,
    key,
    close: () => (closed ??= close()),
    async listen() {
      await app.listen({ host: '127.0.0.1', port: 0 });
      const { port } = app.server.address() as AddressInfo;
      return `${config.listen.tls === null ? 'http' : 'https'}://localhost:${port}`;
    },
  };
}

export interface StixPage {
  more: boolean;
  next?: string;
  objects: Record<string, any>[];
}

/** Every object of a collection, by `next`. */
export async function readAll(gateway: TestGateway, collection: string, query = ''): Promise<Record<string, any>[]> {
  const objects: Record<string, any>[] = [];
  let next = '';
  for (;;) {
    const url = `/api/taxii2/api/collections/${collection}/objects/?${query}${next}`;
    const reply = await gateway.app.inject({ url, headers: { authorization: `Bearer ${gateway.key}` } });
    if (reply.statusCode !== 200) throw new Error(`${reply.statusCode} ${reply.body}`);
    const page = reply.json<StixPage>();
    objects.push(...page.objects);
    if (page.next === undefined) return objects;
    next = `&next=${page.next}`;
  }
}

import pino from 'pino';
import type { Test } from 'tap';
import { type AppParts, buildApp } from '../../routes/app.ts';
import { hashKey } from '../../src/auth/keys.ts';
import { controlThrough } from '../../src/control/verbs.ts';
import type { Contributions } from '../../src/model/contribution.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { Entry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Client } from '../../src/model/state.ts';
import { readAsked } from '../../src/normalise/asked.ts';
import { collectionIdOf } from '../../src/stix/id.ts';
import { openLists } from './lists.ts';
import { appendEntries, type JournalStore, openJournalStore } from './store.ts';

export const KEY = 'slc_reader';

/** Where nothing writes there is nothing to control. */
export const NO_CONTROL = controlThrough(async () => {
  throw new GatewayError('unavailable', 'The writing thread ended.');
});

const noWriter = async (): Promise<never> => {
  throw new GatewayError('unavailable', 'The writing thread ended.');
};
export const NO_CONTRIBUTIONS: Contributions = { addEnvelope: noWriter, addIocs: noWriter, removeObject: noWriter };

/** A test's own work shares the thread, and other tests the machine: neither may send its readers away. */
export const NO_PRESSURE = { eventLoopDelay: 0, heapBytes: 0 };

export const client = (changes: Partial<Client> = {}): Client => ({
  name: 'reader',
  role: 'reader',
  collections: null,
  writes: [],
  tlp: 'amber',
  rate: { max: 1_000_000, per: 60_000 },
  createdAt: 0,
  revokedAt: null,
  keyHashes: [],
  certificates: [],
  pathKey: false,
  ...changes,
});

export const collection = (alias: string, changes: Partial<CollectionDefinition> = {}): CollectionDefinition => ({
  id: collectionIdOf(alias),
  alias,
  title: alias,
  description: null,
  journal: 'pool:main',
  types: null,
  tlp: 'amber',
  strict: false,
  ...changes,
});

export interface TestApp extends JournalStore {
  app: ReturnType<typeof buildApp>;
  /** Appends to a journal, `pool:main` unless told otherwise. */
  append<E extends Entry>(entries: E[], replaces?: (number | null)[], journal?: string): Promise<E[]>;
  /** A request of the reader who may read everything up to amber; `headers` may say another key. */
  ask(
    url: string,
    options?: { method?: string; headers?: Record<string, string>; body?: unknown },
  ): Promise<Awaited<ReturnType<TestApp['app']['inject']>>>;
}

/** The application on a journal of the test's own, with a scripted clock: `all`, `ips` on it, `red` on another. */
export async function openApp(
  t: Test,
  { named = [], ...parts }: Partial<AppParts> & Partial<Pick<AppParts['lists'], 'named'>> = {},
  clients: Record<string, Client> = {},
): Promise<TestApp> {
  const store = await openJournalStore(t);
  await store.writer.transaction((tx) => tx.openJournal({ name: 'pool:red', pool: 'red', keepVersions: 'last' }));
  const byHash = new Map(Object.entries({ [KEY]: client(), ...clients }).map(([key, who]) => [hashKey(key), who]));
  const app = buildApp({
    clock: store.clock,
    control: NO_CONTROL,
    contributions: NO_CONTRIBUTIONS,
    refreshOnRead: () => undefined,
    reader: store.reader,
    lists: openLists(t, { ...store, named }),
    clients: { generation: 0, find: (hash) => byHash.get(hash) ?? null, findByCertificate: () => null },
    collections: [
      collection('all'),
      collection('ips', { types: ['ipv4', 'ipv6'] }),
      collection('red', { journal: 'pool:red', tlp: 'red' }),
    ],
    taxii: {
      title: 'Sluice',
      description: null,
      contact: null,
      apiRoots: [{ path: '/api/taxii2/api/', title: 'Threat intelligence', description: null }],
      pageSize: 1000,
      maxPage: 5000,
    },
    publicUrl: null,
    identityId: 'identity--00000000-0000-4000-8000-000000000000',
    cursorSecret: await store.reader.cursorSecret(),
    feeds: [],
    readAsked,
    version: '0.0.0',
    unreadyReason: () => null,
    pressure: NO_PRESSURE,
    allowances: async () => [],
    metricsAccess: 'anyone',
    cacheBytes: 8 * 1024 * 1024,
    maxConnections: 1000,
    maxConnectionsPerAddress: null,
    answerBytes: 64 * 1024 * 1024,
    tls: null,
    trustProxy: false,
    log: pino({ level: 'silent' }),
    ...parts,
  });
  t.teardown(() => app.close());
  return {
    ...store,
    app,
    append: (entries, replaces = [], journal = 'pool:main') =>
      store.writer.transaction((tx) => appendEntries(tx, journal, entries, replaces)),
    ask: (url, { method = 'GET', headers = {}, body } = {}) =>
      app.inject({
        method: method as 'GET',
        url,
        headers: { authorization: `Bearer ${KEY}`, ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      }),
  };
}

import type { Socket } from 'node:net';
import type { Registry } from 'prom-client';
import type { ClientDirectory } from '../src/auth/clients.ts';
import type { Control } from '../src/control/verbs.ts';
import type { Builds } from '../src/lists/builds.ts';
import type { ReadAsked } from '../src/model/asked.ts';
import type { Clock } from '../src/model/clock.ts';
import type { Contributions } from '../src/model/contribution.ts';
import type { CollectionDefinition, NamedList, TaxiiDefinition } from '../src/model/definition.ts';
import type { Allowance } from '../src/model/state.ts';
import type { FeedFacts } from '../src/status/feeds.ts';
import type { Reader } from '../src/store/store.ts';
import type { InFlight } from './in-flight.ts';
import type { PageCache } from './page-cache.ts';
import type { Pressure } from './pressure.ts';
import type { Rates } from './rates.ts';
import type { UnreadyReason } from './readiness.ts';
import type { ReadCount } from './reads.ts';

/** Everything that routes may use. */
export interface RouteParts {
  clock: Clock;
  reader: Reader;
  /** Why the gateway can't serve right now; null when it can. */
  unreadyReason(): UnreadyReason | null;
  pressure: Pressure;
  /** The application is being closed: answers end their connections. */
  isClosing(): boolean;
  /** The connection is over the limit (connections.ts). */
  isOverLimit(socket: Socket): boolean;
  /** For every route whose page depends on one journal. */
  pages: PageCache;
  /** Memory of answers under way. */
  inFlight: InFlight;
  clients: ClientDirectory;
  lists: ServedLists;
  collections: CollectionDefinition[];
  taxii: TaxiiDefinition;
  /** Scheme, host and port under which clients reach the gateway; null: as each request says. */
  publicUrl: string | null;
  /** Believe forwarding headers: only behind a proxy that sets them. */
  trustProxy: boolean;
  /** The counters of this process, and the names of the clients that may read them. */
  metrics: { register: Registry; access: readonly string[] | 'anyone' };
  /** What is left of the upstream accounts' plans. */
  allowances(): Promise<Allowance[]>;
  /** `created_by_ref` of what is issued. */
  identityId: string;
  /** Signs cursors; hex. */
  cursorSecret: string;
  /** What is known of each feed besides its state in the store. */
  feeds: FeedFacts[];
  /** Reads a value that a reader asks about, by the rules for values of feeds. */
  readAsked: ReadAsked;
  version: string;
  /** The verbs of operators. */
  control: Control;
  /** What clients add to collections, and remove. */
  contributions: Contributions;
  /** Tells the writer that a journal is read, so that an overdue feed is tried again. Cheap; nobody waits for it. */
  refreshOnRead(journal: string): void;
}

/** What the routes share among themselves. */
export interface RouteContext extends RouteParts {
  reads: ReadCount;
  rates: Rates;
}

/** The lists of the configuration, and the builds of all lists. */
export interface ServedLists {
  named: readonly NamedList[];
  builds: Builds;
}

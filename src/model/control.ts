import type { Micros } from './clock.ts';
import type { ClientRate } from './definition.ts';
import type { ErrorCode, StoreFault } from './error.ts';
import type { ObservableType } from './observable.ts';
import type { LeftOutRow, Served } from './served.ts';
import type {
  AccountState,
  Client,
  DeadLetter,
  FeedError,
  FeedState,
  RejectionCount,
  StoredRejection,
} from './state.ts';
import type { Tlp } from './tlp.ts';

/**
 * What commands and the console ask of the one process that writes. Answers are plain JSON: they cross a thread and a
 * socket. Each method throws GatewayError.
 */
export interface Control {
  /** Polls a feed now, as far as its account's budget allows. Throws `not-found`, and `unprocessable` for one that is idle. */
  poll(feed: string): Promise<PollReport>;
  status(): Promise<StatusReport>;
  /** Rows of a feed that were refused, and rows that are held and not served; up to `limit` of each. Throws `not-found`. */
  rejections(feed: string, limit: number): Promise<RejectionReport>;
  /** Throws `unprocessable` when the name or a certificate is taken, or a collection is unknown. */
  addClient(client: NewClient): Promise<IssuedClient>;
  listClients(): Promise<Client[]>;
  /** Its keys and certificates stop within a second. Throws `not-found`. */
  revokeClient(name: string): Promise<void>;
  /** Sets a sink's target up, or only says how. Throws `not-found`, `sink-unavailable`, `sink-refused`. */
  setUpSink(name: string, dryRun: boolean): Promise<SetupReport[]>;
  /** Entries a sink's target refused for good: the first `limit`. */
  deadLetters(name: string, limit: number): Promise<DeadLetter[]>;
  /** Gives a sink what its target refused once more. Throws as `setUpSink`. */
  retrySink(name: string): Promise<DeliveryReport>;
  /** Gives a sink the live set anew and takes out the rest. Throws as `setUpSink`. */
  rebuildSink(name: string): Promise<DeliveryReport>;
  /** How far a rebuild under way has come: entries done of about so many. Null when none is. */
  rebuildProgress(name: string): Promise<{ done: number; total: number } | null>;
}

/** What became of entries that were pushed. */
export interface DeliveryReport {
  written: number;
  unchanged: number;
  /** Refused for good and kept. */
  refused: number;
  /** Documents taken out because nothing live stands for them. */
  swept: number;
}

/** One request of a sink's setup, and in a word what was done; null: it was only to be shown. */
export interface SetupReport {
  name: string;
  method: string;
  path: string;
  body: unknown;
  outcome: string | null;
}

export interface SinkStatus {
  name: string;
  kind: string;
  /** Why nothing is delivered; null when it is. */
  idle: 'disabled' | 'no-key' | null;
  collections: {
    alias: string;
    /** Date of the last entry delivered; null: nothing yet. */
    deliveredTo: Micros | null;
    /** Date of the newest entry there is. */
    head: Micros | null;
    updatedAt: Micros | null;
  }[];
  /** Entries refused for good and kept. */
  failed: number;
  /** Deliveries that failed since the last good one. */
  failures: number;
  error: { code: ErrorCode; message: string; at: Micros } | null;
}

export interface NewClient {
  name: string;
  /** Null: all, those added later as well. */
  collections: string[] | null;
  tlp: Tlp;
  rate: ClientRate;
  /** Fingerprints, lower-case hex: it signs in with these certificates, and no key is made. */
  certificates?: string[];
}

/** The only time the key is told; null for a client that signs in with certificates. */
export interface IssuedClient extends NewClient {
  key: string | null;
}

export interface PollReport {
  feed: string;
  outcome: 'whole' | 'unchanged' | 'failed' | 'held-back';
  /** Upstream requests sent. */
  requests: number;
  accepted: number;
  rejected: number;
  /** Journal entries appended, over all journals: live versions and tombstones. */
  entries: number;
  withdrawn: number;
  error: Omit<FeedError, 'at'> | null;
}

/** What a collection serves of one feed and what it leaves out: held = live + left out. */
export interface ServedReport extends Served {
  collection: string;
  /** Rows for which that isn't so: not decided yet while a changed configuration is being applied, else a fault. */
  unaccounted: number;
}

export interface RejectionReport {
  /** Notes among them. */
  counts: RejectionCount[];
  rows: StoredRejection[];
  served: ServedReport[];
  /** Each once, with the collections that leave it out for this reason; what only their types leave out stands in others. */
  leftOut: (LeftOutRow & { collections: string[] })[];
}

export interface StatusReport {
  version: string;
  startedAt: Micros;
  now: Micros;
  /** What is wrong with the store as a whole; null: nothing is known to be. */
  storeFault: StoreFault | null;
  feeds: (FeedState & {
    account: string | null;
    pools: string[];
    stale: boolean;
    /** Why it isn't polled; null when it is. */
    idle: 'disabled' | 'no-key' | null;
    /** Different rows that were refused, by reason. */
    refused: RejectionCount[];
    /** Rows for which read + split = held + folded + gone + refused isn't so: a fault. */
    unaccounted: number;
    /** By collection of the feed's pools. */
    served: ServedReport[];
  })[];
  accounts: AccountState[];
  sinks: SinkStatus[];
  collections: {
    alias: string;
    id: string;
    title: string;
    journal: string;
    /** Newest entry of the journal. */
    head: Micros | null;
    live: Partial<Record<ObservableType, number>>;
  }[];
}

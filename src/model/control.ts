import type { Micros } from './clock.ts';
import type { FeedMode, Redistribution } from './definition.ts';
import type { ErrorCode, StoreFault } from './error.ts';
import type { ObservableType } from './observable.ts';
import type { LeftOutRow, Served } from './served.ts';
import type { AccountState, FeedError, FeedState, RejectionCount, StoredRejection } from './state.ts';
import type { Tlp } from './tlp.ts';

/** What the verbs of src/control/verbs.ts report: plain JSON, for it crosses a thread and a socket. */

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

/** How far a poll or a try has come. */
export interface ReadProgress {
  rows: number;
  requests: number;
  bytes: number;
}

/** What a feed would bring, read without writing anything. */
export interface TryReport {
  feed: string;
  format: string;
  /** Why the format was guessed; absent where it was said. */
  guessed?: string;
  mode: FeedMode;
  title: string;
  /** `cut`: there was more than one try reads, so counts are "at least". */
  outcome: 'whole' | 'cut' | 'failed';
  /** Upstream requests sent. */
  requests: number;
  /** Read of answers or files, unpacked of what HTTP packs. */
  bytes: number;
  /** The first of them. */
  answers: TriedAnswer[];
  read: number;
  accepted: number;
  /** Observations of these that the feed's own filter leaves out. */
  filtered: number;
  refused: number;
  /** The first of what was taken. */
  rows: TriedRow[];
  /** By reason, each with its first row. */
  rejections: TriedRejection[];
  /** What the pull would change of the rows that are held of the feed; null when it failed. `gone`: null where it is not known. */
  against: { held: number; fresh: number; changed: number; gone: number | null } | null;
  note: string | null;
  error: Omit<FeedError, 'at'> | null;
}

export interface TriedAnswer {
  host: string;
  status: number;
  /** Header fields as they came. */
  type: string | null;
  etag: string | null;
  lastModified: string | null;
}

/** An observation, or by its type and id a STIX object that is passed on. */
export interface TriedRow {
  type: string;
  value: string;
  confidence: number | null;
  tlp: Tlp | null;
  name: string | null;
  labels: string[];
  firstSeen: Micros | null;
  lastSeen: Micros | null;
  validFrom: Micros | null;
  validUntil: Micros | null;
  revoked: boolean;
}

export interface TriedRejection {
  reason: string;
  isNote: boolean;
  count: number;
  detail: string;
  row: string;
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
    /** Says that the list has not changed for longer than promised; null: it has, or nothing was promised. */
    stalled: string | null;
    attribution: string | null;
    terms: string | null;
    redistribution: Redistribution;
    /** Why it isn't polled; null when it is. */
    idle: 'disabled' | 'no-key' | null;
    /** Different rows that were refused, by reason. */
    refused: RejectionCount[];
    /** Rows for which read + split = held + folded + gone + filtered + refused isn't so: a fault. */
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

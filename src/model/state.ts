import type { Micros } from './clock.ts';
import type { ClientRate } from './definition.ts';
import type { ErrorCode } from './error.ts';
import type { Tlp } from './tlp.ts';

/** Why the last poll failed. `excerpt`: how what came instead begins, for the operator alone. */
export interface FeedError {
  code: ErrorCode;
  message: string;
  excerpt?: string;
  at: Micros;
}

/** What is remembered of a feed between polls. */
export interface FeedState {
  feed: string;
  /** The format's own bookmark; commits with the rows it stands for. */
  cursor: string | null;
  /**
   * When the last whole pull began that moved the cursor. Where a cursor stands still, each pull may bring once more what came
   * with the last. Null: none has moved it.
   */
  movedAt: Micros | null;
  /** Validators of the last whole pull (RFC 9110 section 8.8), and a SHA-256 over its bodies. */
  etag: string | null;
  lastModified: string | null;
  bodyHash: string | null;
  /** A snapshot feed confirmed all its rows at this time (a whole pull, a 304 or an equal body). */
  confirmedAt: Micros | null;
  /** Feed's data are fresh as of this time: the last poll that ended whole. */
  succeededAt: Micros | null;
  attemptedAt: Micros | null;
  /** When the next poll is due; survives a restart so that a restart never polls early. */
  nextPollAt: Micros | null;
  /** Polls that failed since the last good one. */
  failures: number;
  error: FeedError | null;
  /** The last stretch of time whose news can't be had any more, and when that was found. */
  gap: { from: Micros; to: Micros; at: Micros } | null;
  /** What is not as it should be about a feed that is read all the same, and when that was found; null after a pull without. */
  note: { text: string; at: Micros } | null;
  /**
   * When a lifetime of its rows last ended or was held back: what the feed confirms, or no longer does, is looked at after its
   * next good poll. Null: nothing of it waits for that.
   */
  lapsedAt: Micros | null;
  /** Of the last whole pull. */
  accepted: number;
  rejected: number;
  /**
   * The account of its rows: read + split = observations + objects + folded + gone + refused, the last being the rows that
   * `rejections` counts, notes left aside. Of a snapshot it is of the last whole pull, with what pulls have added since that are under
   * way or were cut off; of a delta feed it runs since the first poll.
   */
  read: number;
  /** What rows became beyond one each: an object that names several values. */
  split: number;
  /** Rows that say more of what another row said, or say it again. */
  folded: number;
  /** Observations that aged out of the store, each after its journals told so. */
  gone: number;
  /** Held now: what the feed says of observables, and STIX objects that pass verbatim. */
  observations: number;
  objects: number;
}

/** How much of an account's allowance is spent. */
export interface AccountState {
  account: string;
  lastRequestAt: Micros | null;
  /** Nothing is sent before this time (429, Retry-After, X-RateLimit-Reset). */
  blockedUntil: Micros | null;
  /** When that was said. */
  blockedAt?: Micros;
  /**
   * One per configured window, keyed by its length in seconds: weighted requests `used` since `startedAt`. `slots` says
   * when: equal slices of the window from `startedAt` on, so that what is old leaves bit by bit (upstream/budget.ts).
   */
  windows: Record<string, { startedAt: Micros; used: number; slots?: number[] }>;
  /** Requests ever sent. */
  requests: number;
  /** Absent while the upstream is well: failures in a row, how often it was left alone for them, and until when. */
  breaker?: { failures: number; breaks: number; openUntil: Micros | null };
}

/** What one window of an account's plan still allows. */
export interface Allowance {
  /** Scheme and host; nothing of the key. */
  origin: string;
  /** Names of the feeds that draw on it. */
  feeds: string[];
  /** Length of the window. */
  seconds: number;
  /** Weighted requests in it, and how many of them are left now. */
  allowed: number;
  left: number;
}

export interface RejectionCount {
  reason: string;
  /**
   * Different rows that were refused with this reason: of a snapshot by its last whole pull and those since, of a delta feed since
   * it was first polled.
   */
  count: number;
  /** None of them was refused: they are notes on rows that were taken, or on what could not be asked for. */
  isNote: boolean;
}

export interface StoredRejection {
  feed: string;
  reason: string;
  detail: string;
  row: string;
  firstAt: Micros;
  lastAt: Micros;
  count: number;
  isNote: boolean;
}

/** A reader reads its collections. An operator may use the control routes besides (routes/control/). */
export const clientRoles = ['reader', 'operator'] as const;
export type ClientRole = (typeof clientRoles)[number];

/** A team or tool that reads. Keys are kept only as SHA-256, certificates as their fingerprint. */
export interface Client {
  name: string;
  role: ClientRole;
  /** Aliases of the collections it may read; null: all. */
  collections: string[] | null;
  tlp: Tlp;
  rate: ClientRate;
  createdAt: Micros;
  revokedAt: Micros | null;
  /** Lower-case hex SHA-256 of each key. */
  keyHashes: string[];
  /** Lower-case hex SHA-256 of the DER form of each certificate it may sign in with over TLS. */
  certificates: string[];
}

/** Certificates of one client: the old and the new ones of a handful of machines. */
export const MAX_CERTIFICATES = 32;

/** How far a sink has come in a collection. */
export interface Checkpoint {
  sink: string;
  /** Names collection, journal and types (delivery/deliver.ts): a collection that means something else begins anew. */
  scope: string;
  /** Of the last entry that was delivered. */
  dateAdded: Micros;
  /** When that was last known to be all there is, or to be progress. */
  updatedAt: Micros;
  /** When everything live was last seen to be written young enough (Sink.needsRenewal). */
  renewedAt: Micros;
}

/** Something a sink's target refused for good. */
export interface DeadLetter {
  sink: string;
  /** As in Checkpoint. */
  scope: string;
  dateAdded: Micros;
  objectId: string;
  reason: string;
  attempts: number;
  at: Micros;
}

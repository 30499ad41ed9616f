import type { Micros } from './clock.ts';
import type { ClientRate } from './definition.ts';
import type { ErrorCode } from './error.ts';
import type { Tlp } from './tlp.ts';

/** Why the last poll failed. `excerpt`: the beginning of what was received, for the operator only. */
export interface FeedError {
  code: ErrorCode;
  message: string;
  excerpt?: string;
  /** The pull came to its end, or near it, and was not believed (ingest/guards.ts). Absent for other failures. */
  heldBack?: HeldBack;
  at: Micros;
}

/** A pull that is not believed: rows that it brought and how many of them were refused, and rows that it would have withdrawn. */
export interface HeldBack {
  read: number;
  refused: number;
  withdrawn: number;
}

/** The state of a feed between polls. */
export interface FeedState {
  feed: string;
  /** The format's own cursor, committed with the rows up to it. */
  cursor: string | null;
  /**
   * When the last whole pull began that moved the cursor. While a cursor does not move, each pull may repeat the rows of the last.
   * Null: no pull has moved it.
   */
  movedAt: Micros | null;
  /** Validators of the last whole pull (RFC 9110 section 8.8), and a SHA-256 over its bodies. */
  etag: string | null;
  lastModified: string | null;
  bodyHash: string | null;
  /** When its list last changed, as far as pulls show it (ingest/last-change.ts). Null: it was never read whole. */
  changedAt: Micros | null;
  /** Until when the last whole pull stays as it is by its upstream's word, within bounds (ingest/poll-state.ts). Null: it says nothing. */
  freshUntil: Micros | null;
  /** When a snapshot feed last confirmed all its rows: by a whole pull, a 304 or an equal body. */
  confirmedAt: Micros | null;
  /** The last poll that ended whole. */
  succeededAt: Micros | null;
  attemptedAt: Micros | null;
  /** When the next poll is due. It is stored, so a restart does not poll early. */
  nextPollAt: Micros | null;
  /** Polls that failed since the last good one. */
  failures: number;
  error: FeedError | null;
  /** The last time span whose rows upstream no longer has, and when that was found. */
  gap: { from: Micros; to: Micros; at: Micros } | null;
  /** What is wrong with a feed that can be read, and when that was found; null when the last pull found nothing. */
  note: { text: string; at: Micros } | null;
  /**
   * When a lifetime of its rows last ended or was extended by an outage: its rows are checked again after the next good poll. Null:
   * no row waits for that.
   */
  lapsedAt: Micros | null;
  /** Of the last whole pull. */
  accepted: number;
  rejected: number;
  /**
   * The account of its rows: read + split = observations + objects + folded + gone + filtered + refused, the last being the rows that
   * `rejections` counts, notes left aside. Of a snapshot it is of the last whole pull, with what pulls have added since that are under
   * way or were cut off; of a delta feed it runs since the first poll.
   */
  read: number;
  /** Observations beyond one per row, from objects that name several values. */
  split: number;
  /** Rows that were merged with another row of the feed on the same observable. */
  folded: number;
  /** Observations that the feed's own filter left out: of the last whole pull, of a delta feed since the first poll. */
  filtered: number;
  /** Observations that aged out of the store, after their journals withdrew them. */
  gone: number;
  /** Held now: observations, and STIX objects that are passed on. */
  observations: number;
  objects: number;
}

/** Rows that the store holds of a feed. */
export function heldIn({ observations, objects }: FeedState): number {
  return observations + objects;
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

/** A team or tool that reads, or adds to collections. Keys are kept only as SHA-256, certificates as their fingerprint. */
export interface Client {
  name: string;
  role: ClientRole;
  /** Aliases of the collections it may read; null: all. */
  collections: string[] | null;
  /** Aliases of the contributed collections whose objects it may add and remove. */
  writes: string[];
  tlp: Tlp;
  rate: ClientRate;
  createdAt: Micros;
  revokedAt: Micros | null;
  /** Lower-case hex SHA-256 of each key. */
  keyHashes: string[];
  /** Lower-case hex SHA-256 of the DER form of each certificate it may sign in with over TLS. */
  certificates: string[];
  /** Its keys stand in the paths of lists and nowhere else. */
  pathKey: boolean;
}

/** Certificates of one client: the old and the new ones of a handful of machines. */
export const MAX_CERTIFICATES = 32;

/** How far a sink has come in a collection. */
export interface Checkpoint {
  sink: string;
  /** The collection's alias, journal and types, and the target (delivery/checkpoint.ts). When one changes, delivery starts again. */
  scope: string;
  /** dateAdded of the last entry that was delivered. */
  dateAdded: Micros;
  /** When the sink was last up to date. */
  updatedAt: Micros;
  /** When live documents were last renewed (Sink.needsRenewal). */
  renewedAt: Micros;
}

/** An entry that a sink's target refused for good. */
export interface DeadLetter {
  sink: string;
  /** The collection's alias, journal and types. */
  scope: string;
  dateAdded: Micros;
  objectId: string;
  reason: string;
  attempts: number;
  at: Micros;
}

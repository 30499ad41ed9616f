import type { TSchema } from 'typebox';
import type { Micros, Millis } from '../model/clock.ts';
import type { FeedDefinition, FeedMode, UpstreamDefinition } from '../model/definition.ts';
import type { GatewayError } from '../model/error.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Rejection, SourceObject } from '../model/observation.ts';
import type { Secret } from '../model/secret.ts';

/**
 * The contract of a feed format: how one kind of upstream is read. The format drives; the runner owns the network and the disk,
 * so no format can spend budget unseen, escape a cap or forget a validator. Every format runs test/contracts/feed.contract.ts.
 */
export interface FeedFormat<Options = any> {
  name: string;
  /** One line for `sluice presets` and the docs. */
  title: string;
  /** The format's own keys under `feeds.NAME` (TypeBox object); the common keys are the gateway's. */
  options: TSchema;
  /** What `mode`, `every`, `tlp` … are when the configuration doesn't say. */
  defaults(options: Options): FeedDefaults;
  /** Whose budget requests spend; null for feeds that never use the network. */
  account(options: Options): FeedAccount | null;
  /** The contributed collection that it reads. Absent: it reads none. */
  contributedBy?(options: Options): string;
  /**
   * Yields batches that may be committed one by one, in this order. The last has `last: true`; only a pull that reached it is
   * whole. Throws GatewayError `upstream-*`; batches that were yielded before stay committed.
   */
  read(feed: FeedContext<Options>): AsyncIterable<FeedBatch>;
}

export interface FeedDefaults {
  /** The publisher, where the format reads only one publisher's feeds. Without it the feed's title is its name. */
  title?: string;
  mode: FeedMode;
  every: Millis;
  /** The shortest `every` that may be configured. */
  minEvery?: Millis;
  emptyAllowed: boolean;
  /** Milliseconds by type, as in FeedDefinition. Absent: the usual lifetimes. Empty: only the source ends its rows. */
  lifetime?: FeedDefinition['lifetime'];
}

export interface FeedAccount {
  /** Scheme and host the key is for; with a fingerprint of the key, the account's name. */
  origin: string;
  key: Secret | null;
  /** What else no text may hold that people see. */
  secrets?: readonly Secret[];
  limits: AccountLimits;
  /** How its connections are made; shown to its own host and to `hosts` only. */
  tls?: ConnectionTls;
}

/** PEM texts: a client certificate with its key (both or neither), and the authorities to trust in place of the usual. */
export interface ConnectionTls {
  cert?: Secret;
  key?: Secret;
  ca?: Secret;
  /** Other names of the same server. */
  hosts?: readonly string[];
}

/** What an upstream's plan allows. All of it is configuration with a default. */
export interface AccountLimits {
  /** Shortest time between two requests. */
  minInterval: Millis;
  /** At most `requests` (weighted) in any `seconds`; a daily quota is a window of 86,400. */
  windows: { seconds: number; requests: number }[];
}

export interface FeedContext<Options> {
  options: Options;
  /** The cursor of the last committed batch that had one; null at first. */
  cursor: string | null;
  now(): Micros;
  fetch: FeedFetch;
  files: FeedFiles;
  contributed: FeedContributed;
  signal: AbortSignal;
}

export interface FeedRequest {
  url: URL;
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  /**
   * Sent only to the host of `url`, and after a redirect to `hosts`, which are other names of the same; never logged. Where
   * `header` is null, the key stands in `url` itself, or there is none. Headers with secrets beside it go the same way, and
   * the body where `isInBody` says so.
   */
  authorization?: {
    header: string | null;
    scheme: string | null;
    key: Secret | null;
    headers?: Record<string, Secret>;
    isInBody?: boolean;
    hosts?: readonly string[];
  };
  /** Of a POST. After a redirect that makes a GET of it, it is not sent. */
  body?: string;
  /** Requests that it counts as in the account; default 1. */
  weight?: number;
  /** Sends the validators of the last whole pull (RFC 9110 section 13.1); only for a pull of a single request. */
  conditional?: boolean;
  /** Makes an error of an upstream's own error body, cut at 4 kB; null: the runner's default by status. */
  explain?(status: number, body: string): GatewayError | null;
}

/**
 * Waits for the budget, sends, and retries what may be retried; equal requests at the same time are sent once.
 * Null: the answer is 304, or its body is equal to the last whole pull's.
 */
export type FeedFetch = (request: FeedRequest) => Promise<FeedResponse | null>;

export interface FeedResponse {
  status: number;
  /** Lower-case names; repeated fields joined by ", ". */
  headers: Record<string, string>;
  /**
   * To be read once. Throws `upstream-too-large`, `upstream-timeout`, `upstream-failed` on the way. An empty chunk says that the
   * upstream pauses while other feeds wait: a format that yields batches on the way then yields what has come, even nothing, so
   * that it is committed and not held.
   */
  body: AsyncIterable<Uint8Array>;
  /** Reads and parses the whole body. Throws `upstream-malformed` with an excerpt of what came instead. */
  json(): Promise<unknown>;
}

/**
 * Lists the file at a path, or the files of a directory by name, without hidden and unfinished (`.part`, `.tmp`) ones. Null: nothing
 * changed since the last whole pull.
 */
export type FeedFiles = (path: string) => Promise<FeedFile[] | null>;

export interface FeedFile {
  name: string;
  size: number;
  /** Why its content can't be read; the format then rejects this file alone, as `unreadable-file`. Null: it can. */
  fault: string | null;
  body: AsyncIterable<Uint8Array>;
}

/**
 * The last versions of the objects of a contributed collection, slice by slice, with the characters of each. Null: nothing changed since
 * the last whole pull.
 */
export type FeedContributed = (
  collection: string,
) => Promise<AsyncIterable<readonly { object: Json; bytes: number }[]> | null>;

export interface FeedBatch {
  items: FeedItem[];
  /** Rows that the format could not read, and notes on rows that it could not ask for. */
  rejected: Rejection[];
  /** Versions of upstream objects that say nothing any more: what the rows or objects of these ids said before ends. */
  ended?: readonly SourceObject[];
  /** Where the next pull goes on, committed with this batch; null leaves the stored cursor as it is. */
  cursor: string | null;
  /** The pull is whole: its validators are committed, and in a snapshot rows that did not come have vanished. */
  last: boolean;
  /**
   * The upstream no longer gives what was updated between these times: the feed was not read for longer than the upstream looks
   * back. Set once, with the batch whose cursor lies behind it.
   */
  gap?: { from: Micros; to: Micros } | null;
  /** A problem with a feed that is read all the same: one sentence, shown until a whole pull has none. */
  note?: string | null;
}

/** A row in the feed's own words, or a STIX object as it came. */
export type FeedItem = FeedRow | { stix: JsonObject };

/**
 * A row in the feed's own words. A format only names the columns; src/normalise checks and converts all of them, so each may hold
 * anything. Absent, null and empty text mean the same.
 */
export interface FeedRow {
  value: unknown;
  /** The feed's word for the type ("ipv4", "md5_hash"); absent: detected from the value. */
  type?: unknown;
  /** 0 to 100, or one of STIX 2.1 appendix A's words. */
  confidence?: unknown;
  /** RFC 3339, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS [UTC]`, or Unix seconds as a number. */
  firstSeen?: unknown;
  lastSeen?: unknown;
  validFrom?: unknown;
  /** When the source ends it: a time as above. It is served as `valid_until`. */
  expires?: unknown;
  revoked?: unknown;
  id?: unknown;
  /**
   * A time as above, with a STIX id as `id`: the version of the upstream object that the row is a part of. A later version takes
   * back what an earlier one said on values that it does not name; so all rows of a version must come in one batch.
   */
  version?: unknown;
  name?: unknown;
  description?: unknown;
  labels?: unknown;
  techniques?: unknown;
  references?: unknown;
  tlp?: unknown;
  /** Of the service at an address or host, 1 to 65535; a port written behind the value itself is read as well. */
  port?: unknown;
  /** A word such as `tcp` or `https`. */
  protocol?: unknown;
  /** The name of the malware that it belongs to. */
  malwareFamily?: unknown;
  /** An object with the members of model/observation.ts `Source`. */
  source?: unknown;
}

/**
 * Rows of a batch, which is one transaction of the writer. Twice as many take 40 MB more and, in a store of half a million rows, a
 * tenth more processor time, because the changed pages no longer fit into the cache (measured).
 */
export const BATCH_ROWS = 10_000;
/** Bytes of a batch, as they were sent: objects may be of any size. */
export const BATCH_BYTES = 16 * 1024 * 1024;

/** A feed of the configuration with its format and the format's options. */
export interface ConfiguredFeed {
  definition: FeedDefinition;
  format: FeedFormat;
  options: unknown;
  upstream: UpstreamDefinition;
}

import type { TSchema } from 'typebox';
import type { Micros, Millis } from '../model/clock.ts';
import type { FeedDefinition, FeedMode, UpstreamDefinition } from '../model/definition.ts';
import type { GatewayError } from '../model/error.ts';
import type { JsonObject } from '../model/json.ts';
import type { Rejection } from '../model/observation.ts';
import type { Secret } from '../model/secret.ts';

/**
 * The contract of a feed format: how one kind of upstream is read. The format drives, the runner owns the network and the
 * disk, so no format can spend budget unseen, escape a cap or forget a validator.
 * test/contracts/feed.contract.ts is the proof each format runs.
 */
export interface FeedFormat<Options = any> {
  name: string;
  /** One line for `sluice presets` and the docs. */
  title: string;
  /** The format's own keys under `feeds.NAME` (TypeBox object); the common keys are the gateway's. */
  options: TSchema;
  /** What `mode`, `every`, `tlp` … are when the configuration doesn't say. */
  defaults(options: Options): FeedDefaults;
  /** Whose allowance requests spend; null for feeds that never use the network. */
  account(options: Options): FeedAccount | null;
  /**
   * Yields batches in an order that may be committed one by one. The last has `last: true`, and only a pull that got there
   * counts as whole. Throws GatewayError `upstream-*`; what was yielded before stays.
   */
  read(feed: FeedContext<Options>): AsyncIterable<FeedBatch>;
}

export interface FeedDefaults {
  /** Who publishes it, where the format reads only one publisher's. Without it the feed's title is its name. */
  title?: string;
  mode: FeedMode;
  /** Milliseconds; also the shortest that is allowed where `minEvery` is set. */
  every: Millis;
  minEvery?: number;
  emptyAllowed: boolean;
  /** Milliseconds by type, as in FeedDefinition; absent: the usual ages. Empty for what says itself when it ends. */
  lifetime?: FeedDefinition['lifetime'];
}

export interface FeedAccount {
  /** Scheme and host the key is for; with a fingerprint of the key, the account's name. */
  origin: string;
  key: Secret | null;
  limits: AccountLimits;
  /** How its connections are made; shown to its own host and to `hosts` only. */
  tls?: ConnectionTls;
}

/** PEM texts: a client certificate with its key, both or neither, and the authorities that are trusted in place of the usual. */
export interface ConnectionTls {
  cert?: Secret;
  key?: Secret;
  ca?: Secret;
  /** Other names of the same server. */
  hosts?: readonly string[];
}

/** What an upstream's plan allows. All of it is configuration with a default. */
export interface AccountLimits {
  /** Shortest time between two requests, in milliseconds. */
  minInterval: Millis;
  /** At most `requests` (weighted) in any `seconds`; a daily quota is a window of 86,400. */
  windows: { seconds: number; requests: number }[];
}

export interface FeedContext<Options> {
  options: Options;
  /** What the last committed batch left, null at first. */
  cursor: string | null;
  now(): Micros;
  fetch: FeedFetch;
  files: FeedFiles;
  signal: AbortSignal;
}

export interface FeedRequest {
  url: URL;
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  /**
   * Sent only to the host of `url`, and after a redirect to `hosts`, which are other names of the same; never logged. Where
   * `header` is null, the key stands in `url` itself.
   */
  authorization?: { header: string | null; scheme: string | null; key: Secret; hosts?: readonly string[] };
  body?: string;
  /** What it costs the account; 1 unless the upstream says otherwise. */
  weight?: number;
  /** Send the validators of the last whole pull; only for the single request of a one-request pull. */
  conditional?: boolean;
  /** Turns an upstream's own error body into our words; null: the runner's default by status. `body` is cut at 4 kB. */
  explain?(status: number, body: string): GatewayError | null;
}

/**
 * Waits for the budget, sends, retries what may be retried; equal requests that are on their way together are one.
 * Null: 304, or a body equal to the last whole pull's.
 */
export type FeedFetch = (request: FeedRequest) => Promise<FeedResponse | null>;

export interface FeedResponse {
  status: number;
  /** Lower-case names; repeated fields joined by ", ". */
  headers: Record<string, string>;
  /**
   * Read it once; throws `upstream-too-large`, `upstream-timeout`, `upstream-failed` on the way. An empty piece says that
   * nothing comes for a while and others wait: whoever gives batches on the way gives what has come, though it be nothing,
   * so that it is committed and not held meanwhile.
   */
  body: AsyncIterable<Uint8Array>;
  /** Reads and parses the whole body; throws `upstream-malformed`, its excerpt the first characters of what came instead. */
  json(): Promise<unknown>;
}

/** Files at a path: itself, or what a directory holds (hidden and unfinished `.part`/`.tmp` files left out), by name. */
export type FeedFiles = (path: string) => Promise<FeedFile[] | null>;

export interface FeedFile {
  name: string;
  size: number;
  /** Why it has no content to read, which costs this file alone: a format rejects it as `unreadable-file`. Null: it has. */
  fault: string | null;
  body: AsyncIterable<Uint8Array>;
}

export interface FeedBatch {
  items: FeedItem[];
  /** Rows the format itself could not read, and notes on what it could not ask for. */
  rejected: Rejection[];
  /** Committed with this batch's rows when not null; null leaves the bookmark as it is. */
  cursor: string | null;
  /** This is the whole pull's end: validators commit, and for a snapshot what was not seen has vanished. */
  last: boolean;
  /**
   * What was updated between these moments can't be asked for any more: the feed was away for longer than its upstream
   * looks back. Told once, with the batch whose cursor lies behind it.
   */
  gap?: { from: Micros; to: Micros } | null;
  /** The feed is read, and something about it is not as it should be: one sentence, shown until a whole pull has none. */
  note?: string | null;
}

/** A row in the feed's words, or a STIX object as it came. */
export type FeedItem = FeedRow | { stix: JsonObject };

/**
 * A row as the feed words it. Formats only name the columns; normalise/ checks and converts every one of them, so any of
 * them may hold anything. Absent, null and empty text mean the same.
 */
export interface FeedRow {
  value: unknown;
  /** The feed's word for the type ("ipv4", "md5_hash"); absent: told from the value. */
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
 * Rows per batch: one transaction of the writer each. Twice as many take 40 MB more, and in a store of half a million rows a
 * tenth more of the processor, because the pages that they change no longer fit beside each other (measured).
 */
export const BATCH_ROWS = 10_000;
/** The same for objects of any size, as they were sent. */
export const BATCH_BYTES = 16 * 1024 * 1024;

/** A feed of the configuration with its format and what its format was told. */
export interface ConfiguredFeed {
  definition: FeedDefinition;
  format: FeedFormat;
  options: unknown;
  upstream: UpstreamDefinition;
}

import type { Millis } from '../model/clock.ts';
import type {
  CollectionDefinition,
  ContributedDefinition,
  DeliveredCollection,
  FeedDefinition,
  JournalDefinition,
  NamedList,
  PoolDefinition,
  TaxiiDefinition,
  UpstreamDefinition,
} from '../model/definition.ts';
import type { Secret } from '../model/secret.ts';

/** The configuration with its defaults filled in, its names checked and its secrets read. */
export interface Config {
  /** The directory of the configuration file, absolute: relative paths in feed options start there. */
  base: string;
  listen: {
    host: string;
    port: number;
    tls: { cert: Secret; key: Secret; clientCa: Secret | null } | null;
    behindProxy: boolean;
    maxConnections: number;
    /** Null behind a proxy, to which all connections belong. */
    maxConnectionsPerAddress: number | null;
    /** Most bytes of responses that are being sent. */
    answerBytes: number;
  };
  /** Scheme, host and port, without a slash at the end; null: from each request. */
  publicUrl: string | null;
  /** Absolute. */
  data: string;
  /** The storage engine, and its options as they were read. */
  store: { engine: string; options: unknown };
  identity: { name: string; description: string | null; contact: string | null };
  taxii: TaxiiDefinition;
  /** Polled, each with its format's options. */
  feeds: { definition: FeedDefinition; options: unknown; upstream: UpstreamDefinition }[];
  /**
   * Configured but not polled: disabled, or without their optional key. Their rows stay until they age out, so that a restart without
   * a key withdraws nothing. Pools name them like any other feed.
   */
  idleFeeds: { definition: FeedDefinition; reason: 'disabled' | 'no-key' }[];
  pools: PoolDefinition[];
  /** One per pool, and one per collection with a policy of its own. */
  journals: JournalDefinition[];
  /** One per collection that clients add to. */
  contributed: ContributedDefinition[];
  collections: CollectionDefinition[];
  /** Lists at addresses of their own, `/lists/NAME`. */
  lists: NamedList[];
  /** Bytes of the page cache. */
  cache: { bytes: number };
  /** Who may read /metrics: names of clients. */
  metrics: { access: string[] | 'anyone' };
  /** Delivered to, each with its kind's options. */
  sinks: { name: string; kind: string; collections: DeliveredCollection[]; every: Millis; options: unknown }[];
  idleSinks: { name: string; kind: string; options: unknown; reason: 'disabled' | 'no-key' }[];
  log: { level: string };
}

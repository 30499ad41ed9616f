import type { Millis } from './clock.ts';
import type { ErrorCode } from './error.ts';
import type { FeedFilter } from './feed-filter.ts';
import type { ObservableType } from './observable.ts';
import type { Secret } from './secret.ts';
import type { Tlp } from './tlp.ts';

/** How a journal issues STIX (ARCHITECTURE.md, "Profiles"). */
export const profiles = ['stix', 'elastic-agent'] as const;
export type Profile = (typeof profiles)[number];

/** `snapshot`: a pull holds all rows, and those that are missing are gone. `delta`: a pull holds new rows only; rows end by age or revocation. */
export type FeedMode = 'snapshot' | 'delta';

/**
 * Whether data may be passed on outside of the organisation that reads them, as their publisher says it. `non-commercial`: for no money.
 * `unknown`: no statement was found, or it says neither.
 */
export const redistributions = ['yes', 'non-commercial', 'no', 'unknown'] as const;
export type Redistribution = (typeof redistributions)[number];

export interface FeedDefinition {
  name: string;
  format: string;
  mode: FeedMode;
  /** The source of rows that name none. */
  title: string;
  /** Further names of its publisher, from its preset and format (publisher.ts). */
  aliases: readonly string[];
  /** Names of publishers whose words its own rows may be copies of (publisher.ts). Absent: of none. */
  republishes?: readonly string[];
  /** Milliseconds between polls. */
  every: Millis;
  /** The upstream's own word on how long an answer stays as it is puts off the next poll by so much at most. Absent: not at all. */
  maxCache?: Millis;
  /** A list that has not changed for longer has stalled. Absent: its publisher promises nothing. */
  freshWithin?: Millis;
  /** The credit that the publisher asks for; all indicators that the feed stands behind carry it. */
  attribution?: string;
  /** The publisher's terms, in one line for people. */
  terms?: string;
  /** May its data be passed on? Absent: that is not known. */
  redistribution?: Redistribution;
  /** For rows without a confidence of their own. */
  confidence: number | null;
  /**
   * How far its confidence counts when it is merged, from 0 to 1. At 0 its word is shown and adds nothing: it is no publisher either.
   * Absent: wholly.
   */
  trust?: number;
  tlp: Tlp;
  /**
   * How long an observation counts after it was last seen or confirmed, by observable type; `default` for the others. A type without
   * either ends only when its source says so.
   */
  lifetime: Partial<Record<ObservableType | 'default', Millis>>;
  /** How confidence decays over the lifetime (publish/decay.ts). Absent: it does not. */
  decay?: DecayDefinition;
  /** While the feed can't be read, lifetimes do not end for this long after its last good poll. */
  outageLimit: Millis;
  /** A snapshot that would withdraw more than this share (0 to 1) of the feed's rows is not taken; null: no guard. */
  shrinkGuard: number | null;
  /** A snapshot without rows is taken. */
  emptyAllowed: boolean;
  /** Rows that a pull is expected to bring. Absent: any number. */
  expectRows?: { min?: number; max?: number };
  /** A pull of which more than this share (0 to 1) is refused is not taken. Absent: no guard. */
  maxRefused?: number;
  reach: Reach;
  /** What of its rows is kept. Absent: all. */
  filter?: FeedFilter;
  /** Canonical: what of its rows never counts, whatever pool it is in (suppress/hearing.ts). Absent: nothing. */
  suppress?: readonly string[];
  /** Canonical: what warning lists have no say on where this feed says it. Absent: nothing. */
  admit?: readonly string[];
}

export interface DecayDefinition {
  /** By observable type, `default` for the others. A type without either does not decay. */
  speed: Partial<Record<ObservableType | 'default', number>>;
  /** Under this score the feed's word counts no longer, in any journal. */
  threshold: number;
}

/** Which addresses and networks of a feed become indicators. */
export interface Reach {
  /** Shortest prefix of a network that is taken: shorter ones cover too much of the Internet. */
  minPrefix: { ipv4: number; ipv6: number };
  /** Reserved addresses (loopback, link-local, multicast, ...) are taken. */
  reserved: boolean;
}

export const defaultReach: Reach = { minPrefix: { ipv4: 8, ipv6: 16 }, reserved: false };

/** `environment`: from HTTP_PROXY, HTTPS_PROXY and NO_PROXY. A Secret: the address of the proxy, which may hold a password. */
export type ProxySetting = 'off' | 'environment' | Secret;

/** How a feed's upstream is reached. */
export interface UpstreamDefinition {
  /** The feed's host may have a private address. */
  internal: boolean;
  proxy: ProxySetting;
  /** A request of a reader may bring the next poll of an overdue feed forward. */
  refreshOnRead: boolean;
}

export interface PoolDefinition {
  name: string;
  feeds: string[];
}

/** Labels in lower case; one that ends in `*` stands for all that start so. */
export interface LabelPolicy {
  /** At least one of these. Absent: none is asked for. */
  any?: readonly string[];
  none?: readonly string[];
}

/** What a warning list does: `drop` keeps an indicator out, `tag` labels it, `lower` labels it and lowers its confidence. */
export const warningModes = ['drop', 'tag', 'lower'] as const;
export type WarningMode = (typeof warningModes)[number];

export function isWarningMode(mode: unknown): mode is WarningMode {
  return warningModes.some((each) => each === mode);
}

/** Which observations of a pool count in a journal, and which merged indicators it holds. */
export interface JournalPolicy {
  /** The ceiling: observations above it are left out before merging. */
  tlp: Tlp;
  minConfidence: number;
  /** At least so many independent sources. */
  minSources: number;
  /** Names of the feeds that count as sources. Absent: all of the pool. */
  sourcesOf?: readonly string[];
  /** Which labels a merged indicator must have, and which it must not have. Absent: any. */
  labels?: LabelPolicy;
  /** What was last seen or confirmed longer ago doesn't count. Absent: the feeds' lifetimes alone say. */
  maxAge?: Millis;
  /** Null: every type. Only collections with a journal of their own set it; others narrow types when they are read. */
  types: ObservableType[] | null;
  /** The version of TLP whose markings are referred to. */
  tlpVersion: 1 | 2;
  /** `indicators`: merged indicators only. `all`: other STIX objects are passed on as well. */
  objects: 'indicators' | 'all';
  /**
   * Networks of this prefix length or longer are served as their addresses (publish/expand.ts): 22 to 31, and IPv6 networks of as
   * many addresses. Null: networks are served as networks.
   */
  expandCidr: number | null;
  /** Own assets and the known-good (suppress/own.ts), canonical: what they cover doesn't enter. Absent: none. */
  suppress?: readonly string[];
  /** Feeds whose entries keep out what they cover (publish/suppress-feeds.ts). Absent: none. */
  suppressFeeds?: readonly string[];
  /** What warning lists have no say on, canonical. Absent: nothing. */
  admit?: readonly string[];
  /** What each warning list does, by its name (suppress/warning-lists/modes.ts). Absent, and lists that aren't named: nothing. */
  warningLists?: Readonly<Record<string, WarningMode>>;
}

export interface JournalDefinition {
  /** `pool:NAME` or `collection:NAME`; part of every id it issues. */
  name: string;
  pool: string;
  profile: Profile;
  policy: JournalPolicy;
  /** How long a tombstone stays. */
  keep: Millis;
  keepVersions: 'last' | 'all';
}

/**
 * The name of a contributed collection's journal. It differs from that of a collection with a policy: what such a one held under the
 * same alias is not what clients said.
 */
export function contributedJournal(alias: string): string {
  return `contributed:${alias}`;
}

/** The journal of a contributed collection: it holds what clients add to it, as they said it. No pool writes to it. */
export interface ContributedDefinition {
  name: string;
  /** The alias of its collection. */
  collection: string;
  /** The ceiling: objects above it are not taken. */
  tlp: Tlp;
  keepVersions: 'last' | 'all';
}

/** The section of the configuration that says what a journal holds: `pools.main`, `collections.block`. */
export function sectionOf({ name }: Pick<JournalDefinition, 'name'>): string {
  return name.replace(':', 's.');
}

export interface CollectionDefinition {
  /** UUID version 4 in form, fixed per name. */
  id: string;
  /** The name in the configuration, usable in the id's place. */
  alias: string;
  title: string;
  description: string | null;
  journal: string;
  /** Its journal holds what clients add (ContributedDefinition). Absent: a pool's indicators. */
  contributed?: true;
  /** The types that the collection shows of its journal; null: all. */
  types: ObservableType[] | null;
  /** The ceiling of its journal. Clients with a lower ceiling don't see the collection. */
  tlp: Tlp;
  /** Its journal's; absent: 2. */
  tlpVersion?: 1 | 2;
  /** Answers to the letter of TAXII 2.1, also where common clients need something else. */
  strict: boolean;
  /** Objects in a page without and with a limit; absent: as TaxiiDefinition has it. */
  pageSize?: number;
  maxPage?: number;
}

/** A list: a collection in a format of its own choice, at an address that stays. */
export interface ListDefinition {
  /** The alias of its collection. */
  collection: string;
  format: string;
  /** The format's own options, with their defaults. */
  options: object;
  /** Types that are asked for; null: all that the format can hold. */
  types: readonly ObservableType[] | null;
  /** Indicators below it, or without a confidence, stay out. Null: no bound. */
  minConfidence: number | null;
  /** Networks with a shorter prefix are left out. */
  minPrefix: { ipv4: number; ipv6: number };
  /** Networks become the fewest that hold the same addresses. */
  aggregate: boolean;
  order: 'strongest' | 'newest';
  /** Most lines, over all pages; null: no bound. */
  maxEntries: number | null;
  /** Lines of a page; null: it has one page. */
  pageSize: number | null;
  /** The line of a list that has no other; null: it is empty. */
  emptyLine: string | null;
}

/** A list of the configuration, and who reads it. */
export interface NamedList {
  name: string;
  list: ListDefinition;
  /** Addresses and networks, in canonical form, that read it without a key. */
  allowFrom: readonly string[];
  /** How a caller who may not read it is answered. */
  onRefused: Extract<ErrorCode, 'unauthenticated' | 'forbidden' | 'not-found' | 'unavailable'>;
}

/** A collection that a sink delivers. */
export interface DeliveredCollection extends CollectionDefinition {
  /** ECS `threat.feed.*`: the pool's only feed, else the pool. */
  feed: { name: string; reference: string | null; description: string | null };
}

export interface ClientRate {
  /** Requests in a period of `per`. */
  max: number;
  per: Millis;
}

/** The TAXII server's description, and the sizes of its pages. */
export interface TaxiiDefinition {
  title: string;
  description: string | null;
  contact: string | null;
  /** Paths start and end with `/`. */
  apiRoots: { path: string; title: string; description: string | null }[];
  /** Objects in a page when a client names no limit. */
  pageSize: number;
  maxPage: number;
}

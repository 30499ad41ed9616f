import type { Millis } from './clock.ts';
import type { ObservableType } from './observable.ts';
import type { Secret } from './secret.ts';
import type { Tlp } from './tlp.ts';

/** How a journal issues STIX (ARCHITECTURE.md, "Profiles"). */
export const profiles = ['stix', 'elastic-agent'] as const;
export type Profile = (typeof profiles)[number];

/** `snapshot`: what a pull no longer holds is gone. `delta`: a pull holds news only; rows leave by age or by revocation. */
export type FeedMode = 'snapshot' | 'delta';

export interface FeedDefinition {
  name: string;
  format: string;
  mode: FeedMode;
  /** Shown to readers as the source when a row names none. */
  title: string;
  /** Other names of its publisher, beside its title and its own name: those of its preset and format. */
  aliases: readonly string[];
  /** Milliseconds between polls. */
  every: Millis;
  /** For rows that say nothing themselves. */
  confidence: number | null;
  tlp: Tlp;
  /**
   * Milliseconds an observation counts after it was last seen or confirmed; by observable type, `default` for the rest. A type
   * without either has no end but its source's word.
   */
  lifetime: Partial<Record<ObservableType | 'default', Millis>>;
  /** Milliseconds after the last good poll for which a lifetime that ends meanwhile is held, while the feed can't be read. */
  outageLimit: Millis;
  /** A snapshot that would withdraw more than this share (0 to 1) of the feed's rows is held back; null: no guard. */
  shrinkGuard: number | null;
  /** Is a snapshot without a single row believable? */
  emptyAllowed: boolean;
  reach: Reach;
}

/** Which addresses and networks of a feed are indicators. */
export interface Reach {
  /** Shortest prefix of a network that is taken: shorter ones hold too much of the Internet. */
  minPrefix: { ipv4: number; ipv6: number };
  /** Addresses that name no machine of another network (loopback, link-local, multicast, ...) are taken all the same. */
  reserved: boolean;
}

export const defaultReach: Reach = { minPrefix: { ipv4: 8, ipv6: 16 }, reserved: false };

/** `environment`: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. A Secret: the proxy's address, which may hold a password. */
export type ProxySetting = 'off' | 'environment' | Secret;

/** How a feed's upstream is reached and when it is asked. Nothing of it changes what the feed says. */
export interface UpstreamDefinition {
  /** The feed's own host may stand inside this network. */
  internal: boolean;
  proxy: ProxySetting;
  /** A reader who finds the feed overdue may bring its next try forward. */
  refreshOnRead: boolean;
}

export interface PoolDefinition {
  name: string;
  feeds: string[];
}

/** Which observations of a pool count in a journal, and which merged indicators enter it. */
export interface JournalPolicy {
  /** Observations above it are left out before merging. */
  tlp: Tlp;
  minConfidence: number;
  /** At least so many independent sources. */
  minSources: number;
  /** Null: every type. Set only on journals of their own; a view narrows at read time. */
  types: ObservableType[] | null;
  /** The version of TLP whose markings are referred to. */
  tlpVersion: 1 | 2;
  /** `indicators`: merged indicators only. `all`: other STIX objects pass verbatim as well. */
  objects: 'indicators' | 'all';
  /**
   * Networks of this prefix length or longer are told as their addresses (publish/expand.ts): 22 to 31, of IPv6 those of as many
   * addresses. Null: networks are networks.
   */
  expandCidr: number | null;
  /** Own assets (suppress/own.ts): canonical addresses, networks and domains whose indicators don't enter. Absent: none. */
  suppress?: readonly string[];
}

export interface JournalDefinition {
  /** `pool:NAME` or `collection:NAME`; part of every id it issues. */
  name: string;
  pool: string;
  profile: Profile;
  policy: JournalPolicy;
  /** Milliseconds a tombstone stays. */
  keep: Millis;
  keepVersions: 'last' | 'all';
}

export interface CollectionDefinition {
  /** UUID version 4 in form, fixed per name. */
  id: string;
  /** The name in the configuration, usable in the id's place. */
  alias: string;
  title: string;
  description: string | null;
  journal: string;
  /** The view: null reads the whole journal. */
  types: ObservableType[] | null;
  /** Its journal's ceiling: a client whose own is lower does not see it. */
  tlp: Tlp;
  /** Its journal's; absent: 2. */
  tlpVersion?: 1 | 2;
  /** Answer as the letter of TAXII 2.1 says where the field's clients need otherwise. */
  strict: boolean;
  /** Objects in a page when a client names no limit, and most of them; absent: as the whole server (TaxiiDefinition). */
  pageSize?: number;
  maxPage?: number;
}

/** A collection that a sink delivers. */
export interface DeliveredCollection extends CollectionDefinition {
  /** Whose intelligence it is, as ECS `threat.feed.*` words it: of the pool's only feed, else of the pool. */
  feed: { name: string; reference: string | null; description: string | null };
}

export interface ClientRate {
  max: number;
  /** Milliseconds. */
  per: Millis;
}

/** What the TAXII server says of itself, and how large its pages are. */
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

import type { Micros } from './clock.ts';
import type { JsonText } from './json.ts';
import type { ObservableKey, ObservableType } from './observable.ts';
import type { LeftOutReason } from './served.ts';
import type { Tlp } from './tlp.ts';

/** Why an indicator left a journal: nobody says it any more, or what is said is left out. */
export type WithdrawalReason = LeftOutReason | 'vanished' | 'reissued' | 'feed-removed';

interface EntryBase {
  /** Unique and strictly rising within its journal; the only order readers ever see. */
  dateAdded: Micros;
  /** `type--uuid`, as served. */
  objectId: string;
  /** STIX `modified`, else `created`, else dateAdded, in microseconds. */
  version: Micros;
  /** A later version of the same object stands in the journal (only where all versions are kept). */
  superseded: boolean;
}

/** A version of an indicator (or, for cve, of a vulnerability): columns, rendered to STIX on the way out. */
export interface IndicatorEntry extends EntryBase {
  kind: 'indicator';
  key: ObservableKey;
  type: ObservableType;
  /** Canonical value. */
  value: string;
  /** dateAdded of the first entry of this object id; a value that comes back after a tombstone gets a new one. */
  generation: Micros;
  /** All four in whole milliseconds. `modified` is `version`. */
  created: Micros;
  validFrom: Micros;
  validUntil: Micros | null;
  /** True: a tombstone. It is the last entry this object id ever gets. */
  revoked: boolean;
  /** Set on tombstones only. */
  reason: WithdrawalReason | null;
  confidence: number | null;
  tlp: Tlp;
  firstSeen: Micros | null;
  lastSeen: Micros | null;
  name: string | null;
  description: string | null;
  /** JSON array of strings. */
  labels: JsonText | null;
  /** JSON array of STIX external references. */
  references: JsonText | null;
  /** JSON array of `Claim`, strongest first. */
  sources: JsonText;
  /** JSON object of upstream STIX properties kept while a feed is the sole source. */
  kept: JsonText | null;
  /** Hash of everything whose change makes a new version (publish/fingerprint.ts). */
  fingerprint: string;
  /** When the writer must look at it again: renewal, re-issue, expiry; on a tombstone, when it leaves. */
  due: Micros | null;
}

/** An object that is served as it came, or that Sluice itself issues once (identity, markings). */
export interface ObjectEntry extends EntryBase {
  kind: 'object';
  /** STIX type: `identity`, `relationship`, ... */
  stixType: string;
  /** The producing identity and markings that come first in each journal: every view keeps them. */
  isProducerObject: boolean;
  raw: JsonText;
  due: Micros | null;
}

export type Entry = IndicatorEntry | ObjectEntry;

/** A relation of a journal, and an observable whose live entry is one of its ends there. */
export interface RelationEnd {
  id: string;
  key: ObservableKey;
}

/** What one feed contributed to a merged indicator, as REST and ECS show it. Times are STIX timestamps. */
export interface Claim {
  /** The feed's name in the configuration. */
  feed: string;
  feed_name: string;
  id?: string;
  confidence?: number;
  category?: string;
  origin?: string;
  article_id?: string;
  article_title?: string;
  article_url?: string;
  url_original?: string;
  port?: number;
  protocol?: string;
  malware_family?: string;
  /** The feed said this network, of which the indicator is an address. */
  network?: string;
  first_seen?: string;
  last_seen?: string;
  techniques?: string[];
}

import type { Micros } from './clock.ts';
import type { JsonObject, JsonText } from './json.ts';
import type { ObservableKey, ObservableType } from './observable.ts';
import type { ExternalReference } from './observation.ts';
import type { LeftOutReason } from './served.ts';
import type { Tlp } from './tlp.ts';

/** Why an indicator was withdrawn from a journal: its feeds no longer report it, or the journal leaves it out. */
export type WithdrawalReason = LeftOutReason | 'vanished' | 'reissued' | 'feed-removed';

interface EntryBase {
  /** Unique and strictly rising within its journal: the order of entries for readers. */
  dateAdded: Micros;
  /** `type--uuid`, as served. */
  objectId: string;
  /** STIX `modified`, else `created`, else dateAdded, in microseconds. */
  version: Micros;
  /** A later version of the same object stands in the journal (only where all versions are kept). */
  superseded: boolean;
}

/** A version of an indicator (of a vulnerability for cve), in columns. It is rendered as STIX when it is read. */
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
  /** True: a tombstone, the last entry of this object id. */
  revoked: boolean;
  /** Set on tombstones only. */
  reason: WithdrawalReason | null;
  confidence: number | null;
  tlp: Tlp;
  firstSeen: Micros | null;
  lastSeen: Micros | null;
  name: string | null;
  description: string | null;
  labels: JsonText<string[]> | null;
  references: JsonText<ExternalReference[]> | null;
  /** Strongest first. */
  sources: JsonText<Claim[]>;
  /** Upstream STIX properties that are kept while one feed is the only source. */
  kept: JsonText<JsonObject> | null;
  /** Hash of everything whose change makes a new version (publish/issue.ts). */
  fingerprint: string;
  /** When the writer has to process the entry again: renewal, re-issue, expiry. Of a tombstone: when it is deleted. */
  due: Micros | null;
}

/** A STIX object that is passed on as it came, or a producer object (identity, TLP markings). */
export interface ObjectEntry extends EntryBase {
  kind: 'object';
  /** STIX type: `identity`, `relationship`, ... */
  stixType: string;
  /** One of Sluice's own producer objects: its identity or a TLP marking. They come first in each journal and are in every view. */
  isProducerObject: boolean;
  raw: JsonText;
  due: Micros | null;
}

export type Entry = IndicatorEntry | ObjectEntry;

/** A relationship in a journal (`id`), and an observable whose live entry is one of its ends. */
export interface RelationEnd {
  id: string;
  key: ObservableKey;
}

/** What one feed reports of a merged indicator, as REST and ECS show it. Times are STIX timestamps. */
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
  /** The network that the feed reports, when the indicator is one of its addresses (publish/expand.ts). */
  network?: string;
  first_seen?: string;
  last_seen?: string;
  techniques?: string[];
}

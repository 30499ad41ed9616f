import type { Micros } from './clock.ts';
import type { JsonObject } from './json.ts';
import type { Observable, ObservableKey } from './observable.ts';
import type { Tlp } from './tlp.ts';

/** STIX 2.1 section 2.5. */
export interface ExternalReference {
  source_name: string;
  description?: string;
  url?: string;
  external_id?: string;
}

/** The source of an observation, in the words of SOC Defenders' `source` object. */
export interface Source {
  /** The publisher inside the feed ("URLhaus"), else the feed's own title. */
  feed_name: string;
  category?: string;
  /** `feed`: republished from another feed; `article`: extracted from a text. */
  origin?: string;
  article_id?: string;
  article_title?: string;
  article_url?: string;
  /** The URL as the source wrote it, where its canonical form differs. */
  url_original?: string;
  /** The port at the address or host, 1 to 65535. */
  port?: number;
  /** In lower case, such as `tcp`. */
  protocol?: string;
  malware_family?: string;
}

/** A version of an upstream STIX object. */
export interface SourceObject {
  /** `type--uuid`. */
  id: string;
  version: Micros | null;
}

/** A further object of the feed on the same observable, with its own end. */
export interface OtherSourceObject extends SourceObject {
  /** Its own `valid_until`; null where it has none. */
  validUntil: Micros | null;
  /** When the feed first reported this version. */
  reportedAt: Micros;
}

/** What one feed reports of one observable. It is identified by (feed, key). */
export interface Observation {
  key: ObservableKey;
  observable: Observable;
  /** 0 to 100 (STIX 2.1 section 3.2 and appendix A); null when the row has none, so that the feed's applies. */
  confidence: number | null;
  /** Null when the row has none: then the feed's applies when observations are merged, to old rows as well. */
  tlp: Tlp | null;
  firstSeen: Micros | null;
  /** The last sighting that the feed dates. The time when a row was written or changed is not one. */
  lastSeen: Micros | null;
  /** Only from the feed itself; the configured lifetime is applied when observations are merged. */
  validFrom: Micros | null;
  /** Of the object that it was made from. `others` have their own, and the observation ends with the last (publish/lifetime.ts). */
  validUntil: Micros | null;
  /** The feed revoked it. */
  revoked: boolean;
  /** The upstream's own id of the row, a UUID or anything else. */
  sourceId: string | null;
  /** `modified`, else `created`, of the upstream object, by which versions of one id are ordered. Null without these, and for rows. */
  version: Micros | null;
  /** Further objects of the feed on the same observable, at most MAX_OTHER_OBJECTS. */
  others: OtherSourceObject[];
  /** When the feed first reported this, or last changed it. It is not compared when an observation comes again. */
  reportedAt: Micros;
  source: Source;
  name: string | null;
  description: string | null;
  /** Sorted, without repetition. */
  labels: string[];
  references: ExternalReference[];
  /** ATT&CK technique ids, e.g. T1059.001. */
  techniques: string[];
  /** Properties of an upstream STIX indicator that are not modelled. They are served while this feed is the only source. */
  kept: JsonObject | null;
}

/** Objects on one observable that are kept apart. The ends of any more count as the end of the last of these. */
export const MAX_OTHER_OBJECTS = 15;

/** A STIX 2.1 object that is passed on as it is, because it holds no observation. */
export interface StixObject {
  id: string;
  type: string;
  /** `modified`, else `created`, else null: then its version is the date it was added (TAXII 2.1 section 3.4.1). */
  version: string | null;
  /** The object as it was sent or repaired. */
  raw: JsonObject;
}

/** Why a row is not taken: a closed list, so that rows are counted by reason. */
export type RejectionReason =
  | 'not-an-object'
  | 'no-value'
  | 'unknown-type'
  | 'bad-value'
  | 'type-mismatch'
  | 'bad-property'
  | 'unsupported-pattern'
  | 'bad-stix'
  | 'not-served'
  | 'too-long'
  | 'unreadable-file'
  | 'unreadable-row'
  | 'reserved'
  | 'too-wide';

/** A row that was not taken, with the reason. */
export interface Rejection {
  reason: RejectionReason;
  /** One line for a person. */
  detail: string;
  /** The row as it was read, at most MAX_REJECTED_ROW characters. */
  row: string;
  /**
   * A note, not a refused row: a part of a row that was taken could not be read, or something could not be requested.
   */
  isNote?: true;
}

export const MAX_REJECTED_ROW = 2000;

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

/** Where an observation comes from, in the words of SOC Defenders' `source` object; only the name is always known. */
export interface Source {
  /** The publisher inside the feed ("URLhaus"), else the feed's own title. */
  feed_name: string;
  category?: string;
  /** `feed`: re-published from another feed; `article`: extracted from a text. */
  origin?: string;
  article_id?: string;
  article_title?: string;
  article_url?: string;
  /** The URL that is the indicator as the source wrote it, where its canonical form is another. */
  url_original?: string;
  /** The port at the address or host, 1 to 65535. */
  port?: number;
  /** In lower case, such as `tcp`. */
  protocol?: string;
  malware_family?: string;
}

/** An upstream object in one of its versions. */
export interface SourceObject {
  /** `type--uuid`. */
  id: string;
  version: Micros | null;
}

/** What a further object says for itself of the observable: when it leaves, the end of those that stay is theirs. */
export interface OtherSourceObject extends SourceObject {
  /** Its own `valid_until`; null where it has none. */
  validUntil: Micros | null;
  /** When the feed was first heard to say this version of it. It is no part of what is said. */
  reportedAt: Micros;
}

/** What one feed says about one observable. Its identity is (feed, key). */
export interface Observation {
  key: ObservableKey;
  observable: Observable;
  /** 0 to 100 (STIX 2.1 section 3.2 and appendix A); null when the row says nothing, so that the feed's own counts. */
  confidence: number | null;
  /** Null likewise: what a feed's configuration says applies when merging, to rows that were read long ago as well. */
  tlp: Tlp | null;
  firstSeen: Micros | null;
  /** The last sighting that the feed dates; when its row was written or changed is no sighting. */
  lastSeen: Micros | null;
  /** Only when the feed itself says so; a lifetime from configuration is applied when merging. */
  validFrom: Micros | null;
  /** Of the object that it was made from; `others` have their own. It ends with the last of them (publish/lifetime.ts). */
  validUntil: Micros | null;
  /** The feed itself took it back: it no longer speaks for the indicator. */
  revoked: boolean;
  /** The upstream's own id of the row, a UUID or anything else. */
  sourceId: string | null;
  /** `modified`, else `created`, of the upstream object: orders the versions of one id. Null for rows, and where none is given. */
  version: Micros | null;
  /** Further objects of the feed that say the same, at most MAX_OTHER_OBJECTS. */
  others: OtherSourceObject[];
  /** When the feed was first heard to say this, or last said something new of it. It is no part of what is said. */
  reportedAt: Micros;
  source: Source;
  name: string | null;
  description: string | null;
  /** Sorted, without repetition. */
  labels: string[];
  references: ExternalReference[];
  /** ATT&CK technique ids, e.g. T1059.001. */
  techniques: string[];
  /** Properties of an upstream STIX indicator that we don't model; served while this feed is the sole source. */
  kept: JsonObject | null;
}

/**
 * What the store finds an observation by is bounded: objects on one observable beyond it are not told apart, and count towards
 * the end of the last that is.
 */
export const MAX_OTHER_OBJECTS = 15;

/** A STIX 2.1 object that holds no observation of ours; it passes verbatim. */
export interface StixObject {
  id: string;
  type: string;
  /** `modified`, else `created`, else null: then its version is the date it was added (TAXII 2.1 section 3.4.1). */
  version: string | null;
  /** The object as it was sent, re-serialised without change of content. */
  raw: JsonObject;
}

/** Why a row is not served. The words are closed so that counts per reason mean something. */
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
  | 'reserved'
  | 'too-wide';

/** A row that was not taken, kept with the reason and enough of itself to be found upstream. */
export interface Rejection {
  reason: RejectionReason;
  /** One line for a person. */
  detail: string;
  /** The row as it was read, at most MAX_REJECTED_ROW characters. */
  row: string;
  /**
   * No row was refused: a part of one that was taken could not be read, or something could not be asked for. Kept beside the
   * refused rows, so that it is not lost unsaid.
   */
  isNote?: true;
}

export const MAX_REJECTED_ROW = 2000;

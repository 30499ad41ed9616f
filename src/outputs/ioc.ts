import { type ConfidenceWord, confidenceWordOf } from '../model/confidence.ts';
import type { Claim, Entry, IndicatorEntry } from '../model/entry.ts';
import type { ObservableType } from '../model/observable.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { Tlp } from '../model/tlp.ts';

/** An indicator with SOC Defenders' member names, and some of our own. Absent: not known. */
export interface Ioc {
  /** The UUID of the STIX object. */
  id: string;
  type: ObservableType;
  value: string;
  confidence?: ConfidenceWord | 'none';
  /** 0 to 100. */
  confidence_score?: number;
  first_seen?: string;
  last_seen?: string;
  /** When it was added, or last changed, here. */
  updated_at: string;
  valid_until?: string;
  tlp: Tlp;
  /** The strongest claim; `sources` has all of them. */
  source: Claim;
  sources: Claim[];
  context?: string;
  tags: string[];
  mitre_techniques: string[];
}

export function iocOf(entry: IndicatorEntry): Ioc {
  const sources = claimsOf(entry);
  const [source = { feed: '', feed_name: '' }] = sources;
  return {
    id: entry.objectId.slice(entry.objectId.indexOf('--') + 2),
    type: entry.type,
    value: entry.value,
    ...(entry.confidence === null
      ? {}
      : { confidence: confidenceWordOf(entry.confidence), confidence_score: entry.confidence }),
    ...(entry.firstSeen === null ? {} : { first_seen: formatMillis(entry.firstSeen) }),
    ...(entry.lastSeen === null ? {} : { last_seen: formatMillis(entry.lastSeen) }),
    updated_at: formatMillis(entry.version),
    ...(entry.validUntil === null ? {} : { valid_until: formatMillis(entry.validUntil) }),
    tlp: entry.tlp,
    source,
    sources,
    ...(entry.description === null ? {} : { context: entry.description }),
    tags: entry.labels === null ? [] : (JSON.parse(entry.labels) as string[]),
    mitre_techniques: [...new Set(sources.flatMap((claim) => claim.techniques ?? []))],
  };
}

/** What each source says, the strongest first. */
export function claimsOf({ sources }: Pick<IndicatorEntry, 'sources'>): Claim[] {
  return JSON.parse(sources);
}

/** The indicators among the entries of a slice. */
export function indicatorsOf(slice: readonly Entry[]): IndicatorEntry[] {
  return slice.filter((entry) => entry.kind === 'indicator');
}

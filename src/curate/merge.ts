import type { Micros } from '../model/clock.ts';
import { MICROS_PER_MS } from '../model/clock.ts';
import type { FeedDefinition, JournalPolicy } from '../model/definition.ts';
import type { Claim, WithdrawalReason } from '../model/entry.ts';
import type { JsonObject } from '../model/json.ts';
import type { Observable } from '../model/observable.ts';
import type { ExternalReference } from '../model/observation.ts';
import { formatMillis } from '../model/timestamp.ts';
import { isWithin, strictest, type Tlp } from '../model/tlp.ts';
import { withStatements } from '../stix/marking.ts';
import { sourceReferences } from '../stix/reference.ts';
import type { StoredObservation } from '../store/store.ts';

/** A feed as merging sees it: what it is configured to be, and when it last confirmed all its rows. */
export interface FeedView {
  definition: FeedDefinition;
  /** Set for snapshot feeds only; a pull under way counts as a confirmation of the rows it has brought. */
  confirmedAt: Micros | null;
}

/** What the admitted observations of one observable say together. */
export interface Merged {
  observable: Observable;
  confidence: number | null;
  /** Independent publishers, re-publication counted once. */
  publishers: number;
  tlp: Tlp;
  firstSeen: Micros | null;
  lastSeen: Micros | null;
  validFrom: Micros | null;
  /** Null: nobody limits it. */
  validUntil: Micros | null;
  name: string | null;
  description: string | null;
  labels: string[];
  references: ExternalReference[];
  claims: Claim[];
  kept: JsonObject | null;
}

export type MergeResult = { merged: Merged } | { absent: WithdrawalReason };

/** Each further independent publisher adds this much confidence, up to the cap (safety.md 5.3; no standard says). */
const CONFIDENCE_PER_PUBLISHER = 5;
const CONFIDENCE_CAP = 95;

/**
 * Merges what a pool's feeds say about one observable, under one journal's policy. The ceiling applies before anything is
 * merged, so the result says only what the journal's readers may know.
 */
export function merge(
  observations: readonly StoredObservation[],
  feeds: ReadonlyMap<string, FeedView>,
  policy: JournalPolicy,
  now: Micros,
): MergeResult {
  let absent: WithdrawalReason = 'vanished';
  const admitted: { observation: Said; feed: FeedView; expires: Micros | null }[] = [];
  for (const observation of observations) {
    const feed = feeds.get(observation.feed);
    if (feed === undefined) absent = 'feed-removed';
    else if (!isWithin(observation.tlp ?? feed.definition.tlp, policy.tlp)) absent = 'below-the-bar';
    else if (observation.revoked) absent = 'revoked-upstream';
    else {
      const expires = expiryOf(observation, feed, now);
      if (expires !== null && expires <= now) absent = 'expired';
      else admitted.push({ observation: withDefaults(observation, feed), feed, expires });
    }
  }
  if (admitted.length === 0) return { absent };
  admitted.sort((a, b) => byStrength(a.observation, b.observation));
  const strongest = (admitted[0] as (typeof admitted)[number]).observation;
  const publishers = new Set(admitted.map(({ observation, feed }) => publisherOf(observation, feed))).size;
  return {
    merged: {
      observable: strongest.observable,
      confidence: combine(strongest.confidence, publishers),
      publishers,
      tlp: admitted.map(({ observation }) => observation.tlp).reduce(strictest),
      firstSeen: least(admitted.map(({ observation }) => observation.firstSeen)),
      lastSeen: greatest(admitted.map(({ observation }) => observation.lastSeen)),
      validFrom: least(admitted.map(({ observation }) => observation.validFrom)),
      validUntil: admitted.some(({ expires }) => expires === null) ? null : greatest(admitted.map((a) => a.expires)),
      name: admitted.find(({ observation }) => observation.name !== null)?.observation.name ?? null,
      description:
        admitted.find(({ observation }) => observation.description !== null)?.observation.description ?? null,
      labels: admitted.length === 1 ? strongest.labels : unite(admitted.map(({ observation }) => observation.labels)),
      references: referencesOf(admitted.map(({ observation }) => observation)),
      claims: admitted.map(({ observation }) => claimOf(observation)),
      kept: withStatements(
        admitted.length === 1 ? strongest.kept : null,
        admitted.map(({ observation }) => observation.kept),
      ),
    },
  };
}

/** An observation with what its feed's configuration says for rows that say nothing themselves. */
type Said = StoredObservation & { tlp: Tlp };

function withDefaults(observation: StoredObservation, { definition }: FeedView): Said {
  const { confidence, tlp } = observation;
  return { ...observation, confidence: confidence ?? definition.confidence, tlp: tlp ?? definition.tlp };
}

/** When a feed stops speaking for it: its own word wins; else a lifetime from when it was last seen or confirmed. Null: never. */
export function expiryOf(
  observation: StoredObservation,
  { definition, confirmedAt }: FeedView,
  now: Micros,
): Micros | null {
  if (observation.validUntil !== null) return observation.validUntil;
  const lifetime = definition.lifetime[observation.observable.type] ?? definition.lifetime.default;
  if (lifetime === undefined) return null;
  const since = greatest([observation.lastSeen, confirmedAt]) ?? observation.validFrom ?? observation.firstSeen ?? now;
  return since + lifetime * MICROS_PER_MS;
}

/** Who really says it: the publisher that a row names, else the feed itself, whatever its title. */
function publisherOf({ source }: StoredObservation, { definition }: FeedView): string {
  return source.feed_name === definition.title ? `feed ${definition.name}` : source.feed_name.toLowerCase();
}

function byStrength(a: StoredObservation, b: StoredObservation): number {
  return (b.confidence ?? -1) - (a.confidence ?? -1) || (a.feed < b.feed ? -1 : 1);
}

function combine(best: number | null, publishers: number): number | null {
  if (best === null || publishers === 1) return best;
  return Math.max(best, Math.min(CONFIDENCE_CAP, best + CONFIDENCE_PER_PUBLISHER * (publishers - 1)));
}

function referencesOf(observations: readonly StoredObservation[]): ExternalReference[] {
  const unique = new Map<string, ExternalReference>();
  const add = (reference: ExternalReference): void => {
    unique.set(`${reference.source_name}\n${reference.external_id ?? ''}\n${reference.url ?? ''}`, reference);
  };
  for (const observation of observations) sourceReferences(observation).forEach(add);
  return [...unique.values()];
}

function claimOf(observation: StoredObservation): Claim {
  const claim: Claim = { feed: observation.feed, ...observation.source };
  if (observation.sourceId !== null) claim.id = observation.sourceId;
  if (observation.confidence !== null) claim.confidence = observation.confidence;
  if (observation.firstSeen !== null) claim.first_seen = formatMillis(observation.firstSeen);
  if (observation.lastSeen !== null) claim.last_seen = formatMillis(observation.lastSeen);
  if (observation.techniques.length > 0) claim.techniques = observation.techniques;
  return claim;
}

function unite(lists: readonly string[][]): string[] {
  return [...new Set(lists.flat())].sort();
}

function least(values: readonly (Micros | null)[]): Micros | null {
  return values.reduce((best, value) => (value === null ? best : best === null ? value : Math.min(best, value)), null);
}

function greatest(values: readonly (Micros | null)[]): Micros | null {
  return values.reduce((best, value) => (value === null ? best : best === null ? value : Math.max(best, value)), null);
}

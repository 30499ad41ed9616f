import type { FeedDefinition } from './definition.ts';
import type { Observation } from './observation.ts';

/** Low/Med/High of STIX 2.1 appendix A: the words of SOC Defenders, with the lowest and highest confidence of each. */
export const confidenceBounds = { high: [70, 100], medium: [30, 69], low: [1, 29] } as const;
export type ConfidenceWord = keyof typeof confidenceBounds;

/** Highest first. */
const words = ['high', 'medium', 'low'] as const;

/** A confidence of 0 to 100 in the words of SOC Defenders' REST API and its Elastic guide. */
export function confidenceWordOf(confidence: number): ConfidenceWord | 'none' {
  return words.find((word) => confidence >= confidenceBounds[word][0]) ?? 'none';
}

/** What the confidence of several sources is together (no standard says). */

/** Each further independent publisher adds this much, up to the cap. */
const PER_PUBLISHER = 5;
const CAP = 95;

/** What a feed's row says, or the feed's configuration for rows that say nothing themselves. */
export function confidenceOf({ confidence }: Pick<Observation, 'confidence'>, feed: FeedDefinition): number | null {
  return confidence ?? feed.confidence;
}

/** How far it counts: as far as the feed is trusted. Null: the feed says none, or is not trusted at all. */
export function trustedConfidenceOf(row: Pick<Observation, 'confidence'>, feed: FeedDefinition): number | null {
  const said = confidenceOf(row, feed);
  if (feed.trust === undefined || said === null) return said;
  return feed.trust === 0 ? null : Math.round(said * feed.trust);
}

/** The confidence of so many publishers, of whom the surest has this. */
export function combine(best: number | null, publishers: number): number | null {
  if (best === null || publishers <= 1) return best;
  return Math.max(best, Math.min(CAP, best + PER_PUBLISHER * (publishers - 1)));
}

/** How sure the surest of so many publishers must be, for all of them together to have this confidence. */
export function neededOf(confidence: number, publishers: number): number {
  return publishers <= 1 || confidence > CAP ? confidence : Math.max(0, confidence - PER_PUBLISHER * (publishers - 1));
}

import type { JournalDefinition } from '../model/definition.ts';
import type { Observable } from '../model/observable.ts';
import type { LeftOutReason } from '../model/served.ts';
import { elasticObservable, elasticProperties } from '../stix/elastic-profile.ts';
import { isExpanded } from './expand.ts';
import type { Merged } from './merge.ts';

/** The observable and what is said of it as this journal issues them, or why it doesn't. */
export type Membership = { as: Observable; said: Merged } | { absent: LeftOutReason };

/** Does a merged indicator enter this journal? */
export function membershipOf(merged: Merged, { policy, profile }: JournalDefinition): Membership {
  if (policy.types !== null && !policy.types.includes(merged.observable.type)) return { absent: 'type-not-taken' };
  const expanded = isExpanded(merged.observable, policy.expandCidr);
  const fitting = profile === 'stix' || expanded ? merged.observable : elasticObservable(merged.observable);
  if (fitting === null) return { absent: 'not-for-elastic' };
  if ((merged.confidence ?? 0) < policy.minConfidence) return { absent: 'below-confidence' };
  if (merged.publishers < policy.minSources) return { absent: 'too-few-sources' };
  // Its addresses do: each is said by all who say the network, so what lets that in lets them in.
  if (expanded) return { absent: 'expanded' };
  if (profile === 'stix' || merged.kept === null) return { as: fitting, said: merged };
  // Elastic maps a custom property by whatever type comes first: only those it knows are kept.
  return { as: fitting, said: { ...merged, kept: elasticProperties(merged.kept) } };
}

import { elasticObservable, elasticProperties } from '../model/elastic.ts';
import type { Observable } from '../model/observable.ts';
import type { LeftOutReason } from '../model/served.ts';
import type { Verdict } from '../suppress/suppressor.ts';
import { isExpanded } from './expand.ts';
import type { JournalContext } from './journals.ts';
import type { Merged } from './merge.ts';

/** The observable and the merged indicator as this journal issues them, or why it doesn't. `verdict`: of the suppressor. */
export type Membership = { as: Observable; merged: Merged } | { leftOut: LeftOutReason; verdict?: Verdict };

/** Decides whether a merged indicator enters this journal, and in which form. */
export function membershipOf(
  merged: Merged,
  { definition: { policy, profile }, suppressors }: Pick<JournalContext, 'definition' | 'suppressors'>,
): Membership {
  for (const suppressor of suppressors) {
    const verdict = suppressor.match(merged.observable);
    if (verdict !== null) return { leftOut: 'suppressed', verdict };
  }
  if (policy.types !== null && !policy.types.includes(merged.observable.type)) return { leftOut: 'type-not-taken' };
  const expanded = policy.expandCidr !== null && isExpanded(merged.observable, policy.expandCidr);
  const fitting = profile === 'stix' || expanded ? merged.observable : elasticObservable(merged.observable);
  if (fitting === null) return { leftOut: 'not-for-elastic' };
  if ((merged.confidence ?? 0) < policy.minConfidence) return { leftOut: 'below-confidence' };
  if (merged.publishers < policy.minSources) return { leftOut: 'too-few-sources' };
  // Its addresses enter in its place: all who say the network say each of them.
  if (expanded) return { leftOut: 'expanded' };
  if (profile === 'stix' || merged.kept === null) return { as: fitting, merged };
  // Elastic maps a custom property by whatever type comes first: only those it knows are kept.
  return { as: fitting, merged: { ...merged, kept: elasticProperties(merged.kept) } };
}

import type { JournalDefinition } from '../model/definition.ts';
import type { WithdrawalReason } from '../model/entry.ts';
import type { Observable } from '../model/observable.ts';
import { fitsElastic, keptForElastic } from '../stix/elastic.ts';
import type { Merged } from './merge.ts';

/** The observable and what is said of it as this journal issues them, or why it doesn't. */
export type Membership = { as: Observable; said: Merged } | { absent: WithdrawalReason };

/** Does a merged indicator enter this journal? */
export function membershipOf(merged: Merged, { policy, profile }: JournalDefinition): Membership {
  if ((merged.confidence ?? 0) < policy.minConfidence) return { absent: 'below-the-bar' };
  if (merged.publishers < policy.minSources) return { absent: 'below-the-bar' };
  if (policy.types !== null && !policy.types.includes(merged.observable.type)) return { absent: 'below-the-bar' };
  if (profile === 'stix') return { as: merged.observable, said: merged };
  const fitting = fitsElastic(merged.observable);
  if (fitting === null) return { absent: 'below-the-bar' };
  if (merged.kept === null) return { as: fitting, said: merged };
  // Elastic maps a custom property by whatever type comes first: only those it knows are kept.
  return { as: fitting, said: { ...merged, kept: keptForElastic(merged.kept) } };
}

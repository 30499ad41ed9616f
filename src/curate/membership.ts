import type { JournalDefinition } from '../model/definition.ts';
import type { WithdrawalReason } from '../model/entry.ts';
import type { Observable } from '../model/observable.ts';
import { fitsElastic } from '../stix/elastic.ts';
import type { Merged } from './merge.ts';

/** The observable as this journal issues it, or why it doesn't. */
export type Membership = { as: Observable } | { absent: WithdrawalReason };

/** Does a merged indicator enter this journal? */
export function membershipOf(merged: Merged, { policy, profile }: JournalDefinition): Membership {
  if ((merged.confidence ?? 0) < policy.minConfidence) return { absent: 'below-the-bar' };
  if (merged.publishers < policy.minSources) return { absent: 'below-the-bar' };
  if (policy.types !== null && !policy.types.includes(merged.observable.type)) return { absent: 'below-the-bar' };
  if (profile === 'stix') return { as: merged.observable };
  const fitting = fitsElastic(merged.observable);
  return fitting === null ? { absent: 'below-the-bar' } : { as: fitting };
}

import type { Micros } from '../model/clock.ts';
import type { JournalPolicy, LabelPolicy } from '../model/definition.ts';
import { elasticObservable, elasticProperties } from '../model/elastic.ts';
import type { Observable } from '../model/observable.ts';
import type { LeftOutReason } from '../model/served.ts';
import { standingVerdict } from '../suppress/hearing.ts';
import type { Verdict } from '../suppress/suppressor.ts';
import { isExpanded } from './expand.ts';
import type { JournalContext } from './journals.ts';
import type { Merged } from './merge.ts';
import type { Publishers } from './publisher.ts';

/** The observable and the merged indicator as this journal issues them, or why it doesn't. `verdict`: of the suppressor. */
export type Membership = { as: Observable; merged: Merged } | { leftOut: LeftOutReason; verdict?: Verdict };

/** The most confidence that an indicator keeps on a list that lowers: the top of what STIX calls low (STIX 2.1 appendix A). */
const LOWERED = 29;

/** Decides whether a merged indicator enters this journal, and in which form. */
export function membershipOf(
  all: Merged,
  {
    definition: { policy, profile },
    suppressors,
    publishers,
    feeds,
  }: Pick<JournalContext, 'definition' | 'suppressors' | 'publishers' | 'feeds'>,
  now: Micros,
): Membership {
  const sayers = all.claims.map(({ feed }) => feeds.get(feed)?.definition);
  const verdict = standingVerdict(all.observable, sayers, suppressors);
  if (verdict?.mode === 'drop') return { leftOut: 'suppressed', verdict };
  const merged = verdict === null ? all : warn(all, verdict);
  if (policy.types !== null && !policy.types.includes(merged.observable.type)) return { leftOut: 'type-not-taken' };
  const expanded = policy.expandCidr !== null && isExpanded(merged.observable, policy.expandCidr);
  const fitting = profile === 'stix' || expanded ? merged.observable : elasticObservable(merged.observable);
  if (fitting === null) return { leftOut: 'not-for-elastic' };
  const hasFallen = merged.fallsAt !== null && merged.fallsAt <= now;
  if (hasFallen || (merged.confidence ?? 0) < policy.minConfidence) return { leftOut: 'below-confidence' };
  if (sourcesOf(merged, policy, publishers, feeds) < policy.minSources) return { leftOut: 'too-few-sources' };
  if (policy.labels !== undefined && !takesLabels(merged.labels, policy.labels)) return { leftOut: 'label-not-taken' };
  // Its addresses enter in its place: all who say the network say each of them.
  if (expanded) return { leftOut: 'expanded' };
  if (profile === 'stix' || merged.kept === null) return { as: fitting, merged };
  // Elastic maps a custom property by whatever type comes first: only those it knows are kept.
  return { as: fitting, merged: { ...merged, kept: elasticProperties(merged.kept) } };
}

/** Independent sources, of the feeds that the policy counts. A row that only names such a feed as its source is not the feed's word. */
function sourcesOf(
  { claims, publishers }: Merged,
  { sourcesOf: counted }: JournalPolicy,
  { countOf }: Publishers,
  feeds: JournalContext['feeds'],
): number {
  // Where any source will do, one that is not trusted does.
  if (counted === undefined) return Math.max(1, publishers);
  const counting = claims.filter(({ feed }) => counted.includes(feed) && feeds.get(feed)?.definition.trust !== 0);
  return countOf(counting.map(({ feed_name: name }) => name));
}

function takesLabels(labels: readonly string[], { any, none = [] }: LabelPolicy): boolean {
  const given = labels.map((label) => label.toLowerCase());
  const has = (wanted: readonly string[]): boolean => wanted.some((one) => given.some((label) => isLabel(label, one)));
  return (any === undefined || has(any)) && !has(none);
}

function isLabel(label: string, wanted: string): boolean {
  return wanted.endsWith('*') ? label.startsWith(wanted.slice(0, -1)) : label === wanted;
}

function warn(merged: Merged, { mode, labels }: Verdict): Merged {
  const confidence =
    mode === 'lower' && merged.confidence !== null ? Math.min(merged.confidence, LOWERED) : merged.confidence;
  return { ...merged, confidence, labels: [...new Set([...merged.labels, ...labels])].sort() };
}

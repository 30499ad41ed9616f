import { ANALYST_LABELS } from '../model/analyst-verdict.ts';
import type { Micros } from '../model/clock.ts';
import { type ObservableKey, observableKey } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import type { JournalContext } from './journals.ts';
import { type Membership, membershipOf } from './membership.ts';
import { type FeedObservation, type LeftOutObservation, type Merged, merge } from './merge.ts';

/**
 * What analysts say of observables, applied to what feeds say of them. Verdicts create nothing: what no feed says is not served. Where
 * a pool expands networks, a verdict on a network is on what is said of the network, so it reaches the addresses in it, except those
 * with a verdict of their own.
 */

/** What stands on one observable. */
export interface Ruling {
  verdict: 'false-positive' | 'confirmed' | null;
  /** When an analyst saw it. */
  seenAt: Micros | null;
}

export type Rulings = ReadonlyMap<ObservableKey, Ruling>;

/** An analyst's word, in a merge of what publishers say. */
export const CONFIRMED_CONFIDENCE = 95;
export const CONFIRMED_LABEL = `${ANALYST_LABELS}confirmed`;

/** Reads what stands on these observables, and on the networks that are said to hold them. */
export async function readRulings(
  tx: Transaction,
  pool: string,
  keys: readonly ObservableKey[],
  observations: ReadonlyMap<ObservableKey, readonly FeedObservation[]>,
  now: Micros,
): Promise<Rulings> {
  const networks = new Map<string, ObservableKey>();
  for (const all of observations.values()) {
    for (const one of all) {
      if (one.network !== undefined && !networks.has(one.network)) networks.set(one.network, networkKeyOf(one));
    }
  }
  const rulings = new Map<ObservableKey, Ruling>();
  for (const { key, kind, seenAt, until } of await tx.standingVerdicts(pool, [...keys, ...networks.values()])) {
    // The next tick ends it.
    if (until !== null && until <= now) continue;
    const ruling = rulings.get(key) ?? { verdict: null, seenAt: null };
    rulings.set(key, kind === 'sighted' ? { ...ruling, seenAt } : { ...ruling, verdict: kind });
  }
  return rulings;
}

/** What a journal makes of what is said of one observable. */
export interface Assessment {
  /** What those who count say together; null: nobody counts. */
  merged: Merged | null;
  /** Who does not count. */
  leftOut: readonly LeftOutObservation[];
  /** What of it enters the journal, or why it doesn't; null: nobody counts. */
  member: Membership | null;
  /** The last time that an analyst saw it. */
  seenAt: Micros | null;
}

/** Merges what feeds say as analysts let it count, then asks the journal's policy. Adds to `lapsed` as `merge` does. */
export function assessRuled(
  key: ObservableKey,
  observations: readonly FeedObservation[],
  context: JournalContext,
  rulings: Rulings,
  now: Micros,
  lapsed?: Set<string>,
): Assessment {
  const ruled = applyRulings(rulings, key, observations);
  const { seenAt } = ruled;
  const { merged, ...result } = merge(ruled.observations, context, now, lapsed);
  const leftOut = [...result.leftOut, ...ruled.leftOut];
  if (merged === null) return { merged, leftOut, member: null, seenAt };
  if (rulings.get(key)?.verdict === 'false-positive') {
    return { merged, leftOut, member: { leftOut: 'false-positive' }, seenAt };
  }
  if (!isConfirmed(rulings, key, merged))
    return { merged, leftOut, member: membershipOf(merged, context, now), seenAt };
  // An analyst looked at this one: the word does not decay, and lists of others don't count. Own assets are nobody's to give out.
  const { definition } = context;
  const lasting = { ...context, definition: { ...definition, policy: { ...definition.policy, minConfidence: 0 } } };
  const suppressors = context.suppressors.filter(({ isFinal }) => isFinal === true);
  const sure = confirmed(merge(ruled.observations, lasting, now).merged ?? merged);
  return { merged: sure, leftOut, member: membershipOf(sure, { ...context, suppressors }, now), seenAt };
}

/** What feeds say of one observable, as far as analysts let it count. */
interface Ruled {
  observations: readonly FeedObservation[];
  /** Networks over it that are false positives. */
  leftOut: readonly LeftOutObservation[];
  /** The last time that an analyst saw it. */
  seenAt: Micros | null;
}

function applyRulings(rulings: Rulings, key: ObservableKey, observations: readonly FeedObservation[]): Ruled {
  const own = rulings.get(key);
  const counted: FeedObservation[] = [];
  const leftOut: LeftOutObservation[] = [];
  let seenAt: Micros | null = null;
  for (const one of observations) {
    const { feed, network } = one;
    const over = network === undefined ? undefined : rulings.get(networkKeyOf(one));
    if (network !== undefined && over?.verdict === 'false-positive' && (own?.verdict ?? null) === null) {
      leftOut.push({ feed, network, reason: 'false-positive' });
      continue;
    }
    const seen = Math.max(own?.seenAt ?? 0, over?.seenAt ?? 0);
    counted.push(seen === 0 ? one : { ...one, sightedAt: seen });
    if (seen > (seenAt ?? 0)) seenAt = seen;
  }
  return { observations: counted, leftOut, seenAt };
}

/** Is it confirmed, itself or a network that somebody who counts says it by? */
function isConfirmed(rulings: Rulings, key: ObservableKey, { observable: { type }, claims }: Merged): boolean {
  const own = rulings.get(key)?.verdict ?? null;
  if (own !== null) return own === 'confirmed';
  return claims.some(({ network }) => {
    return network !== undefined && rulings.get(observableKey({ type, value: network }))?.verdict === 'confirmed';
  });
}

/** With the analyst as one more publisher, who is sure. Who that is stays inside. */
function confirmed(merged: Merged): Merged {
  return {
    ...merged,
    confidence: Math.max(merged.confidence ?? 0, CONFIRMED_CONFIDENCE),
    publishers: merged.publishers + 1,
    labels: [...new Set([...merged.labels, CONFIRMED_LABEL])].sort(),
  };
}

function networkKeyOf({ observation, network = '' }: FeedObservation): ObservableKey {
  return observableKey({ type: observation.observable.type, value: network });
}

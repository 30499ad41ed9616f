import type { Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { type Observable, observableKey } from '../model/observable.ts';
import type { LeftOutReason } from '../model/served.ts';
import type { Transaction } from '../store/store.ts';
import { standingVerdict } from '../suppress/hearing.ts';
import type { Verdict } from '../suppress/suppressor.ts';
import { readRulings } from './analysts.ts';
import { addNetworks } from './expanded-indicators.ts';
import { type ConfidenceExplanation, explainConfidence } from './explain-confidence.ts';
import { assess, readObservations } from './indicators.ts';
import type { JournalContext } from './journals.ts';
import { resolveMarkings } from './markings.ts';
import type { FeedObservation, LeftOutObservation, Merged } from './merge.ts';
import { withSuppressFeeds } from './suppress-feeds.ts';

/** What a journal makes of one observable, by the same steps as publishing it. */
export interface Explanation {
  /** What the pool's feeds say of it, and of networks over it where these are expanded. */
  said: readonly FeedObservation[];
  /** Of these, who does not count. */
  leftOut: readonly LeftOutObservation[];
  /** What those who count say together, as it is served where it is; null: nobody counts. */
  merged: Merged | null;
  /** Why the journal does not take that; null: it does. */
  refused: LeftOutReason | null;
  /** What suppressors have against the observable, whether anybody says it or not. */
  verdict: Verdict | null;
  /** How those who count make the confidence. */
  confidence: ConfidenceExplanation;
  /** What readers were told: live entries and tombstones, ascending by date. */
  entries: readonly IndicatorEntry[];
}

/** Writes nothing. */
export async function explainObservable(
  tx: Transaction,
  journal: JournalContext,
  observable: Observable,
  now: Micros,
): Promise<Explanation> {
  const { name, policy } = journal.definition;
  const { suppressFeeds } = policy;
  const context =
    suppressFeeds === undefined ? journal : await withSuppressFeeds(tx, journal, suppressFeeds, [observable]);
  const key = observableKey(observable);
  const observations = await readObservations(tx, context, [key]);
  if (policy.expandCidr !== null) await addNetworks(tx, context, policy.expandCidr, observations, [observable]);
  const resolved = await resolveMarkings(tx, observations);
  const said = resolved.get(key) ?? [];
  const rulings = context.isRuled ? await readRulings(tx, context.definition.pool, [key], resolved, now) : null;
  const { merged, leftOut, member } = assess(key, said, context, rulings, now);
  const isRefused = member !== null && 'leftOut' in member;
  const sayers = merged?.claims.map(({ feed }) => context.feeds.get(feed)?.definition) ?? [];
  return {
    said,
    leftOut,
    merged: member !== null && 'as' in member ? member.merged : merged,
    refused: isRefused ? member.leftOut : null,
    verdict: standingVerdict(observable, sayers, context.suppressors),
    confidence: explainConfidence(said, context, now),
    entries: await tx.lookup(name, [key]),
  };
}

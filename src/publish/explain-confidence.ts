import type { Micros } from '../model/clock.ts';
import { combine, confidenceOf } from '../model/confidence.ts';
import type { ExplainedInput } from '../model/explain.ts';
import type { JournalContext } from './journals.ts';
import { scoreOf } from './lifetime.ts';
import { type Admitted, admit, byStrength, type FeedObservation, isTrusted } from './merge.ts';
import type { Publishers } from './publisher.ts';

export interface ConfidenceExplanation {
  confidence: number | null;
  /** What decay has left of it: a journal's `min_confidence` asks for this. */
  score: number | null;
  publishers: number;
  /** The surest first. */
  inputs: ExplainedInput[];
}

/** Explains the confidence that `merge` gives these observations, in a journal: how each of those that count has its part in it. */
export function explainConfidence(
  observations: readonly FeedObservation[],
  context: Pick<JournalContext, 'definition' | 'feeds' | 'publishers' | 'suppressors'>,
  now: Micros,
): ConfidenceExplanation {
  const admitted = admit(observations, context, now).admitted.sort(byStrength);
  const standings = standingsOf(admitted, context.publishers);
  const publishers = standings.filter(({ standing }) => standing === 'independent').length;
  const confidence = combine(admitted[0]?.confidence ?? null, publishers);
  const scores = admitted.map(({ observation, feed }) => scoreOf(observation, feed, now));
  const inputs = admitted.map((one, i): ExplainedInput => {
    const { observation, network, feed } = one;
    return {
      feed: feed.definition.name,
      ...(network === undefined ? {} : { network }),
      publisher: publisherOf(one),
      said: confidenceOf(observation, feed.definition),
      trust: feed.definition.trust ?? 1,
      confidence: one.confidence,
      score: scores[i] ?? null,
      ...(standings[i] as Standings),
      added: 0,
    };
  });
  share(inputs);
  const surest = scores.reduce((best, score) => (score === null ? best : Math.max(best ?? 0, score)), null);
  return { confidence, score: combine(surest, publishers), publishers, inputs };
}

type Standings = Pick<ExplainedInput, 'standing' | 'of'>;

function publisherOf({ observation }: Admitted): string {
  return observation.source.feed_name;
}

function standingsOf(admitted: readonly Admitted[], { keyOf, standingsOf }: Publishers): Standings[] {
  const origins = standingsOf(admitted.filter(isTrusted).map(publisherOf));
  /** The first who speaks for a publisher, by its key. */
  const speakers = new Map<string, string>();
  for (const one of admitted.filter(isTrusted)) {
    const key = keyOf(publisherOf(one));
    if (!speakers.has(key)) speakers.set(key, publisherOf(one));
  }
  const counted = new Set<string>();
  return admitted.map((one): Standings => {
    if (!isTrusted(one)) return { standing: 'not trusted', of: null };
    const key = keyOf(publisherOf(one));
    const origin = origins.get(key) ?? null;
    if (origin !== null) return { standing: 'copy', of: speakers.get(origin) ?? origin };
    if (counted.has(key)) return { standing: 'same publisher', of: speakers.get(key) ?? key };
    counted.add(key);
    return { standing: 'independent', of: null };
  });
}

/** Shares the confidence among the inputs, the surest first. */
function share(inputs: readonly ExplainedInput[]): void {
  const [surest] = inputs;
  if (surest === undefined || surest.confidence === null) return;
  surest.added = surest.confidence;
  // A copy that is surer than what it copies speaks for it: the publisher is there already.
  const spoken = inputs.find(({ standing, publisher }) => {
    return standing === 'independent' && (surest.standing === 'copy' ? publisher === surest.of : true);
  });
  const further = inputs.filter((one) => one.standing === 'independent' && one !== spoken);
  further.forEach((one, i) => {
    const [before, after] = [combine(surest.confidence, i + 1), combine(surest.confidence, i + 2)];
    one.added = (after ?? 0) - (before ?? 0);
  });
}

import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import { strictest } from '../model/tlp.ts';
import { withStatements } from '../stix/marking.ts';

type Defaults = Pick<FeedDefinition, 'confidence' | 'tlp'>;

/** A feed that lists one observable twice says both: the rows become one observation. `feed`: what counts for rows that say nothing. */
export function combineRows(observations: readonly Observation[], feed: Defaults): Map<ObservableKey, Observation> {
  const byKey = new Map<ObservableKey, Observation>();
  for (const observation of observations) {
    const earlier = byKey.get(observation.key);
    byKey.set(observation.key, earlier === undefined ? observation : combine(earlier, observation, feed));
  }
  return byKey;
}

/** What was said first, and what was said then; saying the same once more changes nothing. */
function combine(a: Observation, b: Observation, feed: Defaults): Observation {
  // Rows with one id are versions of one row (STIX 2.1 section 3.6): the newer takes back what the older said.
  if (a.sourceId !== null && a.sourceId === b.sourceId) return (b.lastSeen ?? 0) < (a.lastSeen ?? 0) ? a : b;
  const strengthOf = ({ confidence }: Observation): number => confidence ?? feed.confidence ?? -1;
  const strong = strengthOf(b) > strengthOf(a) ? b : a;
  const weak = strong === a ? b : a;
  return {
    ...strong,
    tlp: a.tlp === null && b.tlp === null ? null : strictest(a.tlp ?? feed.tlp, b.tlp ?? feed.tlp),
    firstSeen: bound(Math.min, a.firstSeen, b.firstSeen),
    lastSeen: bound(Math.max, a.lastSeen, b.lastSeen),
    validFrom: bound(Math.min, a.validFrom, b.validFrom),
    validUntil: a.validUntil === null || b.validUntil === null ? null : Math.max(a.validUntil, b.validUntil),
    revoked: a.revoked && b.revoked,
    name: strong.name ?? weak.name,
    description: strong.description ?? weak.description,
    labels: [...new Set([...a.labels, ...b.labels])].sort(),
    references: [...new Map([...a.references, ...b.references].map((r) => [JSON.stringify(r), r])).values()],
    techniques: [...new Set([...a.techniques, ...b.techniques])].sort(),
    kept: withStatements(strong.kept ?? weak.kept, [a.kept, b.kept]),
  };
}

function bound(choose: (a: number, b: number) => number, a: Micros | null, b: Micros | null): Micros | null {
  return a === null ? b : b === null ? a : choose(a, b);
}

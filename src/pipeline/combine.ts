import type { Micros } from '../model/clock.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import { strictest } from '../model/tlp.ts';
import { withStatements } from '../stix/marking.ts';

/** A feed that lists one observable twice in a batch says both: the rows become one observation. */
export function combineRows(observations: readonly Observation[]): Observation[] {
  const byKey = new Map<ObservableKey, Observation>();
  for (const observation of observations) {
    const earlier = byKey.get(observation.key);
    byKey.set(observation.key, earlier === undefined ? observation : combine(earlier, observation));
  }
  return [...byKey.values()];
}

function combine(a: Observation, b: Observation): Observation {
  const strong = (b.confidence ?? -1) > (a.confidence ?? -1) ? b : a;
  const weak = strong === a ? b : a;
  return {
    ...strong,
    tlp: strictest(a.tlp, b.tlp),
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

import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import {
  type ExternalReference,
  MAX_OTHER_OBJECTS,
  type Observation,
  type OtherSourceObject,
} from '../model/observation.ts';
import { strictest } from '../model/tlp.ts';
import { MAX_LABELS, MAX_REFERENCES } from '../normalise/property.ts';
import { MAX_OTHER_MARKINGS, otherMarkingsOf, withOtherMarkings } from '../stix/marking.ts';
import { sourceObjectId, sourceObjectsOf } from '../stix/source-objects.ts';

type Defaults = Pick<FeedDefinition, 'confidence' | 'tlp'>;

/**
 * Combines the rows of a feed that name one observable into one observation, by key. `feed`: its confidence and TLP count for rows
 * that have none.
 */
export function combineRows(observations: readonly Observation[], feed: Defaults): Map<ObservableKey, Observation> {
  const byKey = new Map<ObservableKey, Observation>();
  for (const observation of observations) {
    const earlier = byKey.get(observation.key);
    byKey.set(observation.key, earlier === undefined ? observation : combine(earlier, observation, feed));
  }
  return byKey;
}

/** `a` came before `b`. The same row once more changes nothing. */
function combine(a: Observation, b: Observation, feed: Defaults): Observation {
  // Rows with one id are versions of one row (STIX 2.1 section 3.6): the newer takes back what the older said.
  if (a.sourceId !== null && a.sourceId === b.sourceId) return orderOf(b) < orderOf(a) ? a : b;
  const strengthOf = ({ confidence }: Observation): number => confidence ?? feed.confidence ?? -1;
  // Of equals always the same one, in whatever order an upstream lists them: the other would be a change.
  const isTie = strengthOf(a) === strengthOf(b) && a.sourceId !== null && b.sourceId !== null;
  const isStronger = isTie ? (b.sourceId ?? '') < (a.sourceId ?? '') : strengthOf(b) > strengthOf(a);
  const strong = isStronger ? b : a;
  const weak = strong === a ? b : a;
  // Each object's end stays its own, so that it can leave without the other.
  const isApart = sourceObjectId(a) !== null && sourceObjectId(b) !== null;
  return {
    ...strong,
    tlp: levelOf(a, b, feed),
    firstSeen: bound(Math.min, a.firstSeen, b.firstSeen),
    lastSeen: bound(Math.max, a.lastSeen, b.lastSeen),
    validFrom: bound(Math.min, a.validFrom, b.validFrom),
    validUntil: isApart ? strong.validUntil : later(a.validUntil, b.validUntil),
    revoked: a.revoked && b.revoked,
    name: strong.name ?? weak.name,
    description: strong.description ?? weak.description,
    labels: unite(a.labels, b.labels),
    references: uniteReferences(a.references, b.references),
    techniques: unite(a.techniques, b.techniques),
    others: othersOf(strong, weak),
    reportedAt: isApart ? strong.reportedAt : Math.max(a.reportedAt, b.reportedAt),
    kept: withOtherMarkings(strong.kept ?? weak.kept, [a.kept, b.kept]),
  };
}

/** What orders the rows of one id: the version, else the last sighting. */
function orderOf({ version, lastSeen }: Observation): Micros {
  return version ?? lastSeen ?? 0;
}

/** The further objects of both. Sorted before they are bounded, so that the rows' order makes no difference. */
function othersOf(strong: Observation, weak: Observation): OtherSourceObject[] {
  const own = [strong.sourceId, ...strong.others.map(({ id }) => id)];
  const added = sourceObjectsOf(weak).filter(({ id }) => !own.includes(id));
  if (added.length === 0) return strong.others;
  return boundOthers([...strong.others, ...added].sort((x, y) => (x.id < y.id ? -1 : 1)));
}

/** Returns the first MAX_OTHER_OBJECTS of them. The last one's end is that of the surplus as well, so that none ends too early. */
export function boundOthers(all: readonly OtherSourceObject[]): OtherSourceObject[] {
  const [kept, surplus] = [all.slice(0, MAX_OTHER_OBJECTS), all.slice(MAX_OTHER_OBJECTS)];
  const last = kept.pop();
  if (last === undefined) return kept;
  const validUntil = surplus.reduce((end, one) => later(end, one.validUntil), last.validUntil);
  const reportedAt = surplus.reduce((at, one) => Math.max(at, one.reportedAt), last.reportedAt);
  return [...kept, { ...last, validUntil, reportedAt }];
}

/** Returns the later of two ends; null, no end, is later than any. */
function later(a: Micros | null, b: Micros | null): Micros | null {
  return a === null || b === null ? null : Math.max(a, b);
}

/**
 * Returns the stricter of two levels. Null where both rows leave it to the same markings or to the feed: the level of markings is
 * known only when they are published (publish/markings.ts), and must not loosen what the other row leaves to the feed.
 */
export function levelOf(a: Observation, b: Observation, feed: Defaults): Observation['tlp'] {
  const [own, others] = [otherMarkingsOf(a.kept), otherMarkingsOf(b.kept)];
  // More markings than are kept: one of the rest may stand for a stricter level.
  if (own.length + others.length > MAX_OTHER_MARKINGS && new Set([...own, ...others]).size > MAX_OTHER_MARKINGS)
    return 'red';
  if (a.tlp === null && b.tlp === null && own.join() === others.join()) return null;
  return strictest(a.tlp ?? feed.tlp, b.tlp ?? feed.tlp);
}

function bound(choose: (a: number, b: number) => number, a: Micros | null, b: Micros | null): Micros | null {
  return a === null ? b : b === null ? a : choose(a, b);
}

/** Sorted, and no more than one row may have: the cost of a million rows on one observable must not grow with its square. */
function unite(a: readonly string[], b: readonly string[]): string[] {
  return [...new Set([...a, ...b])].sort().slice(0, MAX_LABELS);
}

/** In their order. Of too many, those that come first by their text, so that the rows' order makes no difference. */
function uniteReferences(a: readonly ExternalReference[], b: readonly ExternalReference[]): ExternalReference[] {
  const united = new Map([...a, ...b].map((reference) => [textOf(reference), reference]));
  if (united.size <= MAX_REFERENCES) return [...united.values()];
  const inOrder = [...united].sort(([a], [b]) => (a < b ? -1 : 1));
  return inOrder.slice(0, MAX_REFERENCES).map(([, reference]) => reference);
}

function textOf({ source_name, external_id = '', url = '', description = '' }: ExternalReference): string {
  return `${source_name}\n${external_id}\n${url}\n${description}`;
}

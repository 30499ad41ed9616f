import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, SourceObject } from '../model/observation.ts';
import { withOtherMarkings } from '../stix/marking.ts';
import {
  isOlder,
  keepReportedAt,
  type Statement,
  sourceObjectId,
  sourceObjectsOf,
  withoutSourceObjects,
} from '../stix/source-objects.ts';
import type { StoredObservation, Transaction } from '../store/store.ts';
import { boundOthers, combineRows, levelOf } from './combine.ts';
import { noteVersions } from './ended-versions.ts';
import type { FeedPull } from './pull.ts';
import type { Superseded } from './supersede.ts';

/**
 * Combines what the STIX objects of a feed say on one observable. Objects come in versions: a later one of the same id replaces an
 * earlier, however they arrive; what one object takes back, another on the same value still says.
 *
 * A snapshot holds what it says now: what was said before stands only until the pull has said as much, so that objects which come
 * in several pages, each with a part of it, change nothing when they come again.
 *
 * What is here reads and decides; save.ts writes.
 */

/** Most observations that wait. Beyond it a snapshot's are saved at once, and a later page of the pull may take them back. */
const MOST_HELD = 100_000;

export interface Combined {
  /** What is to be saved. */
  observations: Map<ObservableKey, Observation>;
  /** Objects that ended on observables that something else says from now on. */
  ended: SourceObject[];
}

/**
 * `fresh`: observations alone on keys on which the feed has said nothing. `groups`: all others, those of one key together. Only what
 * `superseded` calls current or doubtful counts.
 */
export async function combineVersions(
  tx: Transaction,
  pull: FeedPull,
  fresh: readonly Statement[],
  groups: readonly (readonly Statement[])[],
  superseded: Superseded,
  now: Micros,
): Promise<Combined> {
  const current = new Set(superseded.current);
  const observations = new Map<ObservableKey, Observation>(
    fresh.filter((one) => current.has(one)).map((one) => [one.key, one]),
  );
  for (const one of superseded.doubtful) {
    noteVersions(pull, sourceObjectsOf(one), now);
    if (pull.doubtful.length < MOST_HELD) pull.doubtful.push(one);
    else observations.set(one.key, one);
  }
  const open = groups.map((group) => group.filter((one) => current.has(one))).filter((group) => group.length > 0);
  const ended: SourceObject[] = [];
  if (open.length === 0) return { observations, ended };
  const { feed, mark, heldBack } = pull;
  const keys = open.map(keyOf);
  const stored = new Map((await tx.observations([feed.name], keys)).map((one) => [one.key, one]));
  const seen = feed.mode === 'snapshot' ? await tx.seenKeys(mark, keys) : null;
  // A page between may have said a newer version of an object that was held back.
  const isOutOfDate = ({ id, version }: SourceObject) => isOlder(version, pull.versions.get(id) ?? null, now);
  for (const group of open) {
    const key = keyOf(group);
    const before = stored.get(key) ?? null;
    const isConfirmed = seen === null || seen.has(key);
    if (isConfirmed && before?.revoked === true) ended.push(...sourceObjectsOf(before));
    const held = withoutObjects(heldBack.get(key) ?? null, isOutOfDate);
    const confirmed = isConfirmed ? withoutFeed(before) : null;
    const known = held === null ? confirmed : (combineOn(confirmed, [held], feed, now) ?? confirmed);
    const combined = combineOn(known, group, feed, now);
    if (combined === null) continue;
    heldBack.delete(key);
    const isShort = !isConfirmed && before !== null && !covers(combined, before);
    if (isShort && heldBack.size < MOST_HELD) {
      heldBack.set(key, combined);
      noteVersions(pull, sourceObjectsOf(combined), now);
    } else observations.set(key, combined);
  }
  return { observations, ended };
}

/** Returns, at the end of a pull, what was held back and is not older than what the pull said of the same objects. */
export async function releaseHeld(tx: Transaction, pull: FeedPull, now: Micros): Promise<Observation[]> {
  const { feed, mark } = pull;
  const [held, doubtful] = [[...pull.heldBack.values()], pull.doubtful];
  pull.heldBack = new Map();
  pull.doubtful = [];
  if (held.length === 0 && doubtful.length === 0) return [];
  const isOutOfDate = await outOfDate(tx, pull, [...held, ...doubtful], now);
  const released = new Map<ObservableKey, Observation>();
  for (const observation of held) {
    const left = withoutObjects(observation, isOutOfDate);
    if (left !== null) released.set(left.key, left);
  }
  const current = doubtful.filter(({ sourceId, version }) => !isOutOfDate({ id: sourceId, version }));
  const seen = await tx.seenKeys(
    mark,
    current.map(({ key }) => key),
  );
  const known = new Map((await tx.observations([feed.name], [...seen])).map((one) => [one.key, withoutFeed(one)]));
  for (const one of current) {
    const combined = combineOn(released.get(one.key) ?? known.get(one.key) ?? null, [one], feed, now);
    if (combined !== null) released.set(one.key, combined);
  }
  return [...released.values()];
}

/** Returns what the other objects say; null when there are none. */
function withoutObjects(
  observation: Observation | null,
  isLeftOut: (object: SourceObject) => boolean,
): Observation | null {
  const ids =
    observation === null
      ? []
      : sourceObjectsOf(observation)
          .filter(isLeftOut)
          .map(({ id }) => id);
  return observation === null || ids.length === 0 ? observation : withoutSourceObjects(observation, new Set(ids));
}

/** Tells which versions are older than what the pull has said of the same objects, these observations included. */
async function outOfDate(
  tx: Transaction,
  { feed, mark, versions }: FeedPull,
  observations: readonly Observation[],
  now: Micros,
): Promise<(object: SourceObject) => boolean> {
  const objects = observations.flatMap(sourceObjectsOf);
  const stored = await tx.saidBy(
    feed.name,
    objects.map(({ id }) => id),
  );
  const seen = await tx.seenKeys(
    mark,
    stored.map(({ key }) => key),
  );
  const newest = new Map(versions);
  for (const { id, version } of [...objects, ...stored.filter(({ key }) => seen.has(key)).flatMap(sourceObjectsOf)]) {
    const known = newest.get(id);
    if (known === undefined || !isOlder(version, known, now)) newest.set(id, version);
  }
  return ({ id, version }) => isOlder(version, newest.get(id) ?? null, now);
}

function keyOf([first]: readonly Observation[]): ObservableKey {
  return (first as Observation).key;
}

/** Its feed is named again when it is stored. */
function withoutFeed(stored: StoredObservation | null): Observation | null {
  if (stored === null) return null;
  const { feed: _, ...observation } = stored;
  return observation;
}

/** Is every object that stood behind `before` behind `now` as well? */
function covers(now: Observation, before: Observation): boolean {
  const ids = idsOf(now);
  return idsOf(before).every((id) => ids.includes(id));
}

/** Returns what objects say together on one observable, beside what is known; null when nothing of it changes what is known. */
function combineOn(
  known: Observation | null,
  observations: readonly Observation[],
  feed: FeedDefinition,
  at: Micros,
): Observation | null {
  const [first] = observations;
  if (known === null && observations.length === 1 && first !== undefined) return first;
  const latest = new Map<string | null, Observation>();
  for (const observation of observations) {
    const id = observation.sourceId;
    const earlier = latest.get(id);
    latest.set(id, earlier === undefined ? observation : laterOf(earlier, observation, at));
  }
  const versions = [...latest.values()]
    .filter((version) => !isOutdated(version, known, at))
    .map((version) => keepReportedAt(version, known));
  const [revoked, live] = [versions.filter((v) => v.revoked), versions.filter((v) => !v.revoked)];
  const [now] = combineRows(live, feed).values();
  // What is known by an id that names nothing can be taken back by anything.
  const standing = known === null || known.revoked || sourceObjectId(known) === null ? null : known;
  const gone = new Set(revoked.map(({ sourceId }) => sourceId));
  const rest = standing === null ? null : withoutSourceObjects(standing, gone);
  if (now !== undefined) return rest === null ? now : beside(now, rest, feed, at);
  if (rest !== null) return rest === standing ? null : rest;
  return revoked.reduce<Observation | null>((last, v) => (last === null ? v : laterOf(last, v, at)), null);
}

/** Of equal versions the later that came, and revocation is for good. */
function laterOf(a: Observation, b: Observation, at: Micros): Observation {
  if (a.version === b.version && a.revoked) return a;
  return isOlder(b.version, a.version, at) ? a : b;
}

function isOutdated(version: Observation, known: Observation | null, at: Micros): boolean {
  return known !== null && known.sourceId === version.sourceId && laterOf(known, version, at) === known;
}

/**
 * The newer of two that stand beside each other, with a reference to every object that says it. A reader who may not see
 * one of them must not learn of it, so the stricter level and the markings of both count.
 */
function beside(now: Observation, known: Observation, feed: FeedDefinition, at: Micros): Observation {
  const newer = !isOlder(now.version, known.version, at) || idsOf(now).includes(known.sourceId ?? '');
  const [strong, weak] = newer ? [now, known] : [known, now];
  const ids = idsOf(strong);
  const added = sourceObjectsOf(weak).filter(({ id }) => !ids.includes(id));
  if (added.length === 0 && newer) return strong;
  const newest = new Map(sourceObjectsOf(now).map((one) => [one.id, one]));
  const others = boundOthers([...strong.others.map((one) => newest.get(one.id) ?? one), ...added]);
  const references = others
    .filter((one) => !ids.includes(one.id))
    .map(({ id }) => ({ source_name: feed.title, external_id: id }));
  const referred = new Set(strong.references.map(({ external_id: id }) => id));
  return {
    ...strong,
    tlp: levelOf(strong, weak, feed),
    kept: withOtherMarkings(strong.kept, [strong.kept, weak.kept]),
    others,
    references: [...strong.references, ...references.filter(({ external_id: id }) => !referred.has(id))],
  };
}

function idsOf(observation: Observation): string[] {
  return sourceObjectsOf(observation).map(({ id }) => id);
}

import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, SourceObject, StixObject } from '../model/observation.ts';
import { withOtherMarkings } from '../stix/marking.ts';
import {
  isOlder,
  keepReportedAt,
  sourceObjectId,
  sourceObjectsOf,
  timeOf,
  withoutSourceObjects,
} from '../stix/source-objects.ts';
import type { Pull, StoredObservation, Transaction } from '../store/store.ts';
import { boundStatements, combineRows, levelOf } from './combine.ts';
import { rememberEnded, rememberSpoken, spokenBy } from './ended-versions.ts';
import { type Batch, supersede } from './supersede.ts';

/**
 * What of a batch counts beside what the feed has said before. Feeds of STIX say things in versions: a later one of the same
 * id replaces an earlier, however they arrive; what one indicator takes back, another on the same value still says.
 */

/** What a pull of a snapshot keeps back until it is seen what else it says on the same values. */
const heldBack = new WeakMap<Pull, Map<ObservableKey, Observation>>();
/** What a pull of a snapshot says in an older version than an earlier pull did: it is not yet known whether that one comes. */
const doubted = new WeakMap<Pull, Observation[]>();
/** Beyond it the newest word is taken at once, and may be taken back by the same pull. */
const MOST_HELD = 100_000;

/**
 * What STIX objects of a batch say, one observation per observable, none of them older than what is known. A snapshot holds
 * what it says now: what was said before stands only until the pull has said as much, so that rows which come in several
 * pages, each with a part of it, change nothing when they come again. What is as it was is left out. `retracted`: what was taken
 * back on the way, as it is kept now.
 */
export async function settleStatements(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  batch: Batch,
  said: ReadonlyMap<ObservableKey, readonly Observation[]>,
  at: Micros,
): Promise<{ statements: Map<ObservableKey, Observation>; retracted: Map<ObservableKey, Observation> }> {
  const held = heldBy(pull);
  const hold = (key: ObservableKey, observation: Observation): void => {
    held.set(key, observation);
    rememberSpoken(pull, sourceObjectsOf(observation), at);
  };
  // Of nearly all there is one, and it is new or says what it said: there is nothing to settle it with.
  const single = [...said.values()].flatMap((all) => (all.length === 1 && !held.has(keyOf(all)) ? all : []));
  const { fresh, different } = await tx.confirm(pull, single);
  const several = [...said.values()].filter((all) => all.length > 1 || held.has(keyOf(all)));
  const news = [...fresh, ...several.flat(), ...different];
  if (news.length === 0) return { statements: new Map(), retracted: new Map() };
  const { current, doubtful, retracted } = await supersede(tx, pull, feed, batch, news, at);
  const isCurrent = current.length === news.length ? null : new Set(current);
  const among = (all: readonly Observation[]) => (isCurrent === null ? all : all.filter((one) => isCurrent.has(one)));
  const statements = new Map(among(fresh).map((observation) => [observation.key, observation]));
  const open = [...several, ...different.map((one) => [one])].map(among).filter((all) => all.length > 0);
  const doubts = doubted.get(pull) ?? [];
  if (doubtful.length > 0) doubted.set(pull, doubts);
  for (const one of doubtful) {
    rememberSpoken(pull, sourceObjectsOf(one), at);
    if (doubts.length < MOST_HELD) doubts.push(one);
    else statements.set(one.key, one);
  }
  if (open.length === 0) return { statements, retracted };
  const keys = open.map(keyOf);
  const known = new Map((await tx.observations([feed.name], keys)).map((stored) => [stored.key, stored]));
  const seen = feed.mode === 'snapshot' ? await tx.seenKeys(pull, keys) : null;
  const displaced: SourceObject[] = [];
  for (const all of open) {
    const key = keyOf(all);
    const before = known.get(key) ?? null;
    const isSaid = seen === null || seen.has(key);
    if (isSaid && before?.revoked === true) displaced.push(...sourceObjectsOf(before));
    const standing = isSaid ? nameless(before) : (held.get(key) ?? null);
    const now = settle(standing, all, feed, at);
    if (now === null) continue;
    held.delete(key);
    const isShort = !isSaid && before !== null && !covers(now, before);
    if (isShort && held.size < MOST_HELD) hold(key, now);
    else statements.set(key, now);
  }
  await rememberEnded(tx, pull, feed, displaced, at);
  return { statements, retracted };
}

/** What was held back when the pull has said everything: all that is no older than what it said of the same objects. */
export async function takeHeld(tx: Transaction, pull: Pull, feed: FeedDefinition, at: Micros): Promise<Observation[]> {
  const [held, doubts] = [heldBy(pull), doubted.get(pull) ?? []];
  heldBack.delete(pull);
  doubted.delete(pull);
  if (held.size === 0 && doubts.length === 0) return [];
  const isOutOfDate = await newestOf(tx, pull, feed, [...held.values(), ...doubts], at);
  const left = new Map<ObservableKey, Observation>();
  for (const observation of held.values()) {
    const old = sourceObjectsOf(observation).filter(isOutOfDate);
    const now = old.length === 0 ? observation : withoutSourceObjects(observation, new Set(old.map(({ id }) => id)));
    if (now !== null) left.set(now.key, now);
  }
  const current = doubts.filter(({ sourceId, version }) => !isOutOfDate({ id: sourceId as string, version }));
  const keys = current.map(({ key }) => key);
  const seen = await tx.seenKeys(pull, keys);
  const known = await tx.observations([feed.name], [...seen]);
  const standing = new Map(known.map((stored) => [stored.key, nameless(stored)]));
  for (const one of current) {
    const now = settle(left.get(one.key) ?? standing.get(one.key) ?? null, [one], feed, at);
    if (now !== null) left.set(one.key, now);
  }
  return [...left.values()];
}

/** Tells which versions are older than what the pull has said of the same objects, these observations included. */
async function newestOf(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  observations: readonly Observation[],
  at: Micros,
): Promise<(statement: SourceObject) => boolean> {
  const said = observations.flatMap((observation) => sourceObjectsOf(observation));
  const ids = said.map(({ id }) => id);
  const standing = await tx.saidBy(feed.name, ids);
  const keys = standing.map(({ key }) => key);
  const seen = await tx.seenKeys(pull, keys);
  const newest = new Map(spokenBy(pull));
  for (const { id, version } of [...said, ...standing.filter(({ key }) => seen.has(key)).flatMap(sourceObjectsOf)]) {
    const known = newest.get(id);
    if (known === undefined || !isOlder(version, known, at)) newest.set(id, version);
  }
  return ({ id, version }) => isOlder(version, newest.get(id) ?? null, at);
}

function heldBy(pull: Pull): Map<ObservableKey, Observation> {
  const held = heldBack.get(pull) ?? new Map<ObservableKey, Observation>();
  heldBack.set(pull, held);
  return held;
}

function keyOf([first]: readonly Observation[]): ObservableKey {
  return (first as Observation).key;
}

/** Its feed is named again when it is stored. */
function nameless(stored: StoredObservation | null): Observation | null {
  if (stored === null) return null;
  const { feed: _, ...observation } = stored;
  return observation;
}

/** Has the pull heard of every object that stood behind what was said before? */
function covers(now: Observation, before: Observation): boolean {
  const ids = idsOf(now);
  return idsOf(before).every((id) => ids.includes(id));
}

/** Null: nothing that was said changes anything. */
function settle(
  known: Observation | null,
  said: readonly Observation[],
  feed: FeedDefinition,
  at: Micros,
): Observation | null {
  // Of nearly all there is one, and nothing to settle it with.
  if (known === null && said.length === 1) return said[0] as Observation;
  const latest = new Map<string | null, Observation>();
  for (const observation of said) {
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
 * The newer of two that stand beside each other, with a reference to every object that says it. Whoever may not see one of them
 * may not learn of it, so the stricter level counts, and the markings of both.
 */
function beside(now: Observation, known: Observation, feed: FeedDefinition, at: Micros): Observation {
  const newer = !isOlder(now.version, known.version, at) || idsOf(now).includes(known.sourceId ?? '');
  const [strong, weak] = newer ? [now, known] : [known, now];
  const ids = idsOf(strong);
  const added = sourceObjectsOf(weak).filter(({ id }) => !ids.includes(id));
  if (added.length === 0 && newer) return strong;
  const news = new Map(sourceObjectsOf(now).map((one) => [one.id, one]));
  const others = boundStatements([...strong.others.map((one) => news.get(one.id) ?? one), ...added]);
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

/** The objects of a batch as they are to be kept, each in its latest version. */
export async function settleObjects(
  tx: Transaction,
  feed: FeedDefinition,
  objects: readonly StixObject[],
  at: Micros,
): Promise<StixObject[]> {
  if (objects.length === 0) return [];
  const latest = new Map<string, StixObject>();
  for (const object of objects) {
    const earlier = latest.get(object.id);
    if (earlier === undefined || !isOlder(timeOf(object.version), timeOf(earlier.version), at))
      latest.set(object.id, object);
  }
  // In a later version it is an observation.
  for (const observation of feed.mode === 'delta' ? await tx.saidBy(feed.name, [...latest.keys()]) : []) {
    for (const { id, version } of sourceObjectsOf(observation)) {
      if (isOlder(timeOf(latest.get(id)?.version), version, at)) latest.delete(id);
    }
  }
  if (feed.mode !== 'delta') return [...latest.values()];
  const known = await tx.objectVersions(feed.name, [...latest.keys()]);
  const ended = await tx.endedVersions(feed.name, [...latest.keys()]);
  return [...latest.values()].filter((object) => {
    const version = timeOf(object.version);
    return !isOlder(version, timeOf(known.get(object.id)), at) && !isOlder(version, ended.get(object.id) ?? null, at);
  });
}

/** Takes out objects that passed verbatim and are observations in a later version; answers their ids. */
export async function endObjects(
  tx: Transaction,
  feed: FeedDefinition,
  observations: readonly Observation[],
  at: Micros,
): Promise<string[]> {
  // A snapshot leaves out what it no longer says.
  if (feed.mode !== 'delta') return [];
  const said = new Map(observations.flatMap((one) => sourceObjectsOf(one)).map(({ id, version }) => [id, version]));
  const known = await tx.objectVersions(feed.name, [...said.keys()]);
  const gone = [...known].filter(([id, version]) => !isOlder(said.get(id) ?? null, timeOf(version), at));
  return tx.removeObjects(
    feed.name,
    gone.map(([id]) => id),
  );
}

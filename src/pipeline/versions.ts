import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { ExternalReference, Observation, Rejection, StixObject } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isStixId } from '../stix/id.ts';
import { rowText } from '../stix/validate.ts';
import type { Pull, StoredObservation, Transaction } from '../store/store.ts';
import { combineRows } from './combine.ts';

/**
 * What of a batch counts beside what the feed has said before. Feeds of STIX say things in versions: a later one of the same
 * id replaces an earlier, however they arrive; what one indicator takes back, another on the same value still says.
 */

/** What a pull of a snapshot keeps back until it is seen what else it says on the same values. */
const heldBack = new WeakMap<Pull, Map<ObservableKey, Observation>>();
/** Beyond it the newest word is taken at once, and may be taken back by the same pull. */
const MOST_HELD = 100_000;

/**
 * What STIX objects of a batch say, one observation per observable, none of them older than what is known. A snapshot holds
 * what it says now: what was said before stands only until the pull has said as much, so that rows which come in several
 * pages, each with a part of it, change nothing when they come again. What is as it was is left out.
 */
export async function settleStatements(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  said: ReadonlyMap<ObservableKey, readonly Observation[]>,
): Promise<Map<ObservableKey, Observation>> {
  if (said.size === 0) return new Map();
  const held = heldBy(pull);
  // Of nearly all there is one, and it is new or says what it said: there is nothing to settle it with.
  const single = [...said.values()].flatMap((all) => (all.length === 1 && !held.has(keyOf(all)) ? all : []));
  const { fresh, different } = await tx.confirm(pull, single);
  const statements = new Map(fresh.map((observation) => [observation.key, observation]));
  const several = [...said.values()].filter((all) => all.length > 1 || held.has(keyOf(all)));
  const open = [...several, ...different.map((observation) => [observation])];
  if (open.length === 0) return statements;
  const keys = open.map(keyOf);
  const known = new Map((await tx.observations([feed.name], keys)).map((stored) => [stored.key, stored]));
  const seen = feed.mode === 'snapshot' ? await tx.seenKeys(pull, keys) : null;
  for (const all of open) {
    const key = keyOf(all);
    const before = known.get(key) ?? null;
    const isCurrent = seen === null || seen.has(key);
    const standing = isCurrent ? nameless(before) : (held.get(key) ?? null);
    const now = settle(standing, all, feed);
    if (now === null) continue;
    held.delete(key);
    const isShort = !isCurrent && before !== null && !covers(now, before, feed.title);
    if (isShort && held.size < MOST_HELD) held.set(key, now);
    else statements.set(key, now);
  }
  return statements;
}

/** What was held back when the pull has said everything. */
export function takeHeld(pull: Pull): Observation[] {
  const held = [...heldBy(pull).values()];
  heldBack.delete(pull);
  return held;
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
function covers(now: Observation, before: Observation, title: string): boolean {
  const ids = idsOf(now, title);
  return idsOf(before, title).every((id) => ids.includes(id));
}

/** The upstream object that an observation was made from; null for rows, and for ids that name nothing for sure. */
export function statementOf({ sourceId }: Observation): string | null {
  return isStixId(sourceId) ? sourceId : null;
}

/** Null: nothing that was said changes anything. */
function settle(known: Observation | null, said: readonly Observation[], feed: FeedDefinition): Observation | null {
  // Of nearly all there is one, and nothing to settle it with.
  if (known === null && said.length === 1) return said[0] as Observation;
  const { title } = feed;
  const latest = new Map<string | null, Observation>();
  for (const observation of said) {
    const id = observation.sourceId;
    const earlier = latest.get(id);
    latest.set(id, earlier === undefined ? observation : laterOf(earlier, observation));
  }
  const versions = [...latest.values()].filter((version) => !isOutdated(version, known));
  const [revoked, live] = [versions.filter((v) => v.revoked), versions.filter((v) => !v.revoked)];
  const [now] = combineRows(live, feed).values();
  // What is known by an id that names nothing can be taken back by anything.
  const standing = known === null || known.revoked || statementOf(known) === null ? null : known;
  const gone = new Set(revoked.map(({ sourceId }) => sourceId));
  const rest = standing === null ? null : without(standing, gone, title);
  if (now !== undefined) return rest === null ? now : beside(now, rest, title);
  if (rest !== null) return rest === standing ? null : rest;
  return revoked.reduce<Observation | null>((last, v) => (last === null ? v : laterOf(last, v)), null);
}

/** `lastSeen` is the upstream's `modified`. Of equal versions the later that came, and revocation is for good. */
function laterOf(a: Observation, b: Observation): Observation {
  if (a.lastSeen === b.lastSeen && a.revoked) return a;
  return a.lastSeen !== null && b.lastSeen !== null && a.lastSeen > b.lastSeen ? a : b;
}

function isOutdated(version: Observation, known: Observation | null): boolean {
  return known !== null && known.sourceId === version.sourceId && laterOf(known, version) === known;
}

/** What still stands of an observation when some of the objects that say it are gone: null for nothing. */
function without(known: Observation, gone: ReadonlySet<string | null>, title: string): Observation | null {
  const standing = idsOf(known, title).filter((id) => !gone.has(id));
  const [first] = standing;
  if (first === undefined) return null;
  if (standing.length === idsOf(known, title).length) return known;
  const references = known.references.filter(({ external_id: id }) => id === undefined || !gone.has(id));
  return { ...known, sourceId: standing.includes(known.sourceId ?? '') ? known.sourceId : first, references };
}

const MOST_IDS = 16;

/** The newer of two that stand beside each other, with a reference to every object that says it. */
function beside(now: Observation, known: Observation, title: string): Observation {
  const newer = (now.lastSeen ?? 0) >= (known.lastSeen ?? 0) || idsOf(now, title).includes(known.sourceId ?? '');
  const [strong, weak] = newer ? [now, known] : [known, now];
  const ids = idsOf(strong, title);
  const others = idsOf(weak, title).filter((id) => !ids.includes(id));
  const added = others.slice(0, Math.max(0, MOST_IDS - ids.length)).map((id) => ownReference(id, title));
  return added.length === 0 ? strong : { ...strong, references: [...strong.references, ...added] };
}

function ownReference(id: string, title: string): ExternalReference {
  return { source_name: title, external_id: id };
}

/** The objects of this feed that say it: the one it was made from, and those that it refers to. */
function idsOf({ sourceId, references }: Observation, title: string): string[] {
  const own = references.flatMap(({ source_name: source, external_id: id }) =>
    source === title && isStixId(id) ? [id] : [],
  );
  return [...new Set([...(isStixId(sourceId) ? [sourceId] : []), ...own])];
}

/** Objects that merged ones' ids may stand in: what they refer to is not served under that id. */
const RELATIONS: Record<string, readonly string[]> = {
  relationship: ['source_ref', 'target_ref'],
  sighting: ['sighting_of_ref'],
};

/**
 * The objects of a batch as they are to be kept, each in its latest version; and the relations to indicators and
 * vulnerabilities that are not served as they came, refused with that reason.
 */
export async function settleObjects(
  tx: Transaction,
  feed: FeedDefinition,
  objects: readonly StixObject[],
): Promise<{ objects: StixObject[]; dangling: Rejection[] }> {
  if (objects.length === 0) return { objects: [], dangling: [] };
  const latest = new Map<string, StixObject>();
  for (const object of objects) {
    const earlier = latest.get(object.id);
    if (earlier === undefined || versionOf(object) >= versionOf(earlier)) latest.set(object.id, object);
  }
  const ends = [...latest.values()].flatMap(mergeableEnds);
  const known = await tx.objectVersions(feed.name, [...new Set([...latest.keys(), ...ends])]);
  const kept: StixObject[] = [];
  const dangling: Rejection[] = [];
  for (const object of latest.values()) {
    const before = known.get(object.id);
    if (feed.mode === 'delta' && before !== undefined && timeOf(before) > versionOf(object)) continue;
    const end = mergeableEnds(object).find((id) => !latest.has(id) && !known.has(id));
    if (end === undefined) kept.push(object);
    else {
      const detail = `a ${object.type} with ${end}, which is not served under that id: it is merged, refused or not there`;
      dangling.push({ reason: 'not-served', detail, row: rowText(object.raw) });
    }
  }
  return { objects: kept, dangling };
}

/** Ends of a relation that may have become observations (normalise/stix-item.ts). */
function mergeableEnds({ type, raw }: StixObject): string[] {
  return (RELATIONS[type] ?? []).flatMap((property) => {
    const ref = raw[property];
    return typeof ref === 'string' && /^(?:indicator|vulnerability)--/.test(ref) ? [ref] : [];
  });
}

function versionOf({ version }: StixObject): Micros {
  return timeOf(version);
}

function timeOf(version: string | null): Micros {
  return version === null ? 0 : (parseTimestamp(version) ?? 0);
}

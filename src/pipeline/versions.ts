import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { ExternalReference, Observation, Rejection, StixObject } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isStixId } from '../stix/id.ts';
import { rowText } from '../stix/validate.ts';
import type { Transaction } from '../store/store.ts';
import { combineRows } from './combine.ts';

/**
 * What of a batch counts beside what the feed has said before. Feeds of STIX say things in versions: a later one of the same
 * id replaces an earlier, however they arrive; what one indicator takes back, another on the same value still says.
 */

/** The rows of a batch as they are to be kept: one per observable, none of them older than what is known. */
export async function settleObservations(
  tx: Transaction,
  feed: FeedDefinition,
  observations: readonly Observation[],
): Promise<Observation[]> {
  const byKey = Map.groupBy(
    observations.filter((observation) => statementOf(observation) !== null),
    ({ key }) => key,
  );
  if (byKey.size === 0) return combineRows(observations);
  const known = await knownBefore(tx, feed, [...byKey.keys()]);
  const settled = [...byKey].map(([key, said]) => settle(known.get(key) ?? null, said, feed.title));
  const rows = observations.filter((observation) => statementOf(observation) === null);
  return combineRows([...rows, ...settled.filter((observation) => observation !== null)]);
}

/** What a snapshot holds is what it says now; only a delta goes on from what was said before. */
async function knownBefore(
  tx: Transaction,
  feed: FeedDefinition,
  keys: readonly ObservableKey[],
): Promise<Map<ObservableKey, Observation>> {
  if (feed.mode === 'snapshot') return new Map();
  const stored = await tx.observations([feed.name], keys);
  // Its feed is named again when it is stored.
  return new Map(stored.map(({ feed: _, ...observation }) => [observation.key, observation]));
}

/** The upstream object that an observation was made from; null for rows, and for ids that name nothing for sure. */
function statementOf({ sourceId }: Observation): string | null {
  return isStixId(sourceId) ? sourceId : null;
}

/** Null: nothing that was said changes anything. */
function settle(known: Observation | null, said: readonly Observation[], title: string): Observation | null {
  const latest = new Map<string | null, Observation>();
  for (const observation of said) {
    const id = observation.sourceId;
    const earlier = latest.get(id);
    latest.set(id, earlier === undefined ? observation : laterOf(earlier, observation));
  }
  const versions = [...latest.values()].filter((version) => !isOutdated(version, known));
  const [revoked, live] = [versions.filter((v) => v.revoked), versions.filter((v) => !v.revoked)];
  const [now] = combineRows(live);
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

import type { Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { ObjectEntry, RelationEnd } from '../model/entry.ts';
import { type JsonObject, jsonText } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import type { LeftOutReason, ObjectVerdict } from '../model/served.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isWithin, stricter, type Tlp } from '../model/tlp.ts';
import { objectMarkings, tlpOfLabels } from '../stix/marking.ts';
import { tlpOfDefinition } from '../stix/marking-definition.ts';
import { isRelationshipId, relationshipEnds } from '../stix/relationship.ts';
import type { Transaction } from '../store/store.ts';
import type { Published } from './changes.ts';
import type { FeedFreshness, JournalContext } from './journals.ts';
import { levelOf, readDefinitions, translate } from './markings.ts';
import { isMarkingDefinition, objectTombstone, standingObjects, versionEntry } from './object-entries.ts';
import { readEnds, type ServedRelation } from './relation-ends.ts';

/**
 * Brings a journal up to date with what its feeds hold under these ids: of each the newest version of its own author within the
 * ceiling, if the journal takes objects at all. What no longer qualifies leaves: with a last version that says `revoked` when it has a
 * `modified` of its own, else (observables, markings: STIX 2.1 sections 3.1 and 3.2) without an entry.
 *
 * Marking definitions go into every journal among its producer objects: indicators refer to them, and readers
 * must be able to read a marking to follow it. Definitions of TLP are left out: what refers to them refers to Sluice's own instead. No feed
 * can replace Sluice's own TLP definitions or its identity.
 */
export async function publishObjects(
  tx: Transaction,
  context: JournalContext,
  ids: readonly string[],
  now: Micros,
): Promise<Published> {
  const { definition, feeds } = context;
  const { name, policy, keep } = definition;
  if (ids.length === 0) return { entries: 0, withdrawn: 0 };
  const standing = await standingObjects(tx, name, ids);
  const taken = policy.objects === 'all' ? ids : ids.filter(isMarkingDefinition);
  const held = await readHeld(tx, definition, feeds, taken);
  const wanted = newestWithin(held, policy.tlp, now);
  const fresh = [...wanted.values()].filter(
    (object) =>
      isNew(object, standing.get(object.id)) &&
      (isMarkingDefinition(object.id) || standing.get(object.id)?.isProducerObject !== true),
  );
  // A marking that no feed holds any more stays for those who refer to it; one that became too secret doesn't.
  const isHeld = new Set(held.map(({ id }) => id));
  const isOurs = ({ isProducerObject, objectId: id }: ObjectEntry): boolean =>
    isProducerObject && !(isMarkingDefinition(id) && isHeld.has(id));
  const gone = [...standing.values()].filter((entry) => !isOurs(entry) && !wanted.has(entry.objectId));
  const revocable = gone.filter((entry) => 'modified' in JSON.parse(entry.raw));
  const revoked = revocable.filter((entry) => JSON.parse(entry.raw).revoked !== true);
  const silent = gone.filter((entry) => !revocable.includes(entry));
  const dates = (await tx.stamp(name, fresh.length + revoked.length)).values();
  const nextDate = (): Micros => dates.next().value as Micros;
  const entries = [
    ...fresh.map((object) => ({
      entry: versionEntry(object, standing.get(object.id), nextDate(), keep),
      replaces: standing.get(object.id)?.dateAdded ?? null,
    })),
    ...revoked.map((entry) => ({ entry: objectTombstone(entry, nextDate(), keep), replaces: entry.dateAdded })),
  ];
  const rest = policy.objects === 'all' ? [] : ids.filter((id) => !isMarkingDefinition(id));
  const verdicts = verdictsOn(held, wanted, standing, context);
  await tx.judgeObjects(name, ids, [...verdicts, ...(await notTaken(tx, context, rest))]);
  await pointRelations(tx, name, ids, wanted);
  if (entries.length > 0) await tx.append(name, entries);
  if (silent.length > 0) {
    await tx.purge(
      name,
      silent.map(({ dateAdded }) => dateAdded),
    );
  }
  return { entries: entries.length, withdrawn: revoked.length + silent.length };
}

/** An object as one feed holds it. */
interface Held extends StixObject, Pick<ServedRelation, 'keys' | 'isMerged'> {
  feed: string;
  /** What its markings mean, with their definitions; its feed's where it has none. */
  level: Tlp;
  /** As this journal shows it; null for a relation with an end that it does not serve. */
  shown: JsonObject | null;
  /** It defines a TLP level: readers get OASIS' own definition of that instead. */
  isTlpDefinition: boolean;
}

async function readHeld(
  tx: Transaction,
  { name, policy }: JournalDefinition,
  feeds: JournalContext['feeds'],
  ids: readonly string[],
): Promise<Held[]> {
  const all = (await tx.objectsById([...feeds.keys()], ids)).map((object) => ({
    ...object,
    marked: objectMarkings(object.raw),
  }));
  const refs = new Set(all.flatMap(({ marked }) => marked.others));
  const definitions = await readDefinitions(tx, [...feeds.keys()], refs);
  const ends = await readEnds(tx, name, all);
  return all.map(({ marked, ...object }) => {
    const { feed, raw, type } = object;
    const pointed = ends(object);
    const own = stricter(marked.tlp, tlpOfLabels(raw['labels']));
    const level = stricter(own, levelOf(feed, marked.others, definitions));
    return {
      ...object,
      level: level ?? (feeds.get(feed) as FeedFreshness).definition.tlp,
      shown: pointed === null ? null : translate(pointed.raw, feed, definitions, policy.tlpVersion),
      keys: pointed?.keys ?? [],
      isMerged: pointed?.isMerged ?? true,
      isTlpDefinition: type === 'marking-definition' && tlpOfDefinition(raw) !== null,
    };
  });
}

/** The verdict on each feed's object. Feeds that hold an object with the same content are all served by its entry. */
function verdictsOn(
  held: readonly Held[],
  wanted: ReadonlyMap<string, Wanted>,
  standing: ReadonlyMap<string, ObjectEntry>,
  { definition }: JournalContext,
): ObjectVerdict[] {
  return held.map(({ id, feed, raw, level, shown, isTlpDefinition }) => {
    const served = wanted.get(id)?.raw ?? null;
    const isOurs = standing.get(id)?.isProducerObject === true && !isMarkingDefinition(id);
    let reason: LeftOutReason | null = null;
    if (isTlpDefinition) reason = 'superseded';
    else if (!isWithin(level, definition.policy.tlp)) reason = 'above-ceiling';
    else if (raw['revoked'] === true) reason = 'revoked';
    else if (shown === null) reason = 'end-not-served';
    else if (isOurs || jsonText(served) !== jsonText(shown)) reason = 'superseded';
    return { feed, id, kind: kindOf(id), reason };
  });
}

/** Verdicts on objects that the journal doesn't take. */
async function notTaken(tx: Transaction, { feeds }: JournalContext, ids: readonly string[]): Promise<ObjectVerdict[]> {
  if (ids.length === 0) return [];
  const verdicts: ObjectVerdict[] = [];
  for (const feed of feeds.keys()) {
    for (const id of (await tx.objectVersions(feed, ids)).keys()) {
      verdicts.push({ feed, id, kind: kindOf(id), reason: 'objects-not-taken' });
    }
  }
  return verdicts;
}

function kindOf(id: string): ObjectVerdict['kind'] {
  return isMarkingDefinition(id) ? 'marking' : 'object';
}

/**
 * Only an object's creator makes versions of it (STIX 2.1 section 3.6). Of the feeds that hold an id, the one that was first to
 * say it names the creator: its `created_by_ref`, or where it has none the feed itself. What others hold under that id is no
 * version of it, whatever its `modified`. A version that is dated ahead of our clock counts as undated: any later one
 * replaces it.
 *
 * The ceiling holds for what passes verbatim as well. `held` comes in the order of arrival. A relation that its feed has revoked, and whose raw
 * text names ids that are not served, is left out: its last entry repeats what readers saw before.
 */
function newestWithin(held: readonly Held[], ceiling: Tlp, now: Micros): Map<string, Wanted> {
  const newest = new Map<string, Wanted>();
  const creators = new Map<string, string>();
  for (const object of held) {
    const { id, type, version, level, shown, keys, isMerged, isTlpDefinition } = object;
    const creator = creatorOf(object);
    if (!creators.has(id)) creators.set(id, creator);
    if (creators.get(id) !== creator || isTlpDefinition || shown === null || !isWithin(level, ceiling)) continue;
    const other = newest.get(id);
    if (other !== undefined && versionOf(object, now) <= versionOf(other, now)) continue;
    newest.set(id, { id, type, version, raw: shown, keys, isMerged, isRelated: relationshipEnds(object).length > 0 });
  }
  for (const [id, { raw, isMerged }] of newest) if (isMerged && raw['revoked'] === true) newest.delete(id);
  return newest;
}

/** An object as it is to be served. */
interface Wanted extends StixObject, Pick<ServedRelation, 'keys' | 'isMerged'> {
  /** It has ends that may be merged. */
  isRelated: boolean;
}

/** Is it another version than the one that stands? A relation whose ends changed has a `modified` of ours, which is not compared. */
function isNew({ raw, version, isRelated }: Wanted, standing: ObjectEntry | undefined): boolean {
  if (standing === undefined || !isRelated) return standing?.raw !== jsonText(raw);
  const isLater = version !== null && (parseTimestamp(version) ?? 0) > standing.version;
  return isLater || jsonText({ ...raw, modified: JSON.parse(standing.raw).modified }) !== standing.raw;
}

/** Keeps at which observables the journal's relations point. */
async function pointRelations(
  tx: Transaction,
  journal: string,
  ids: readonly string[],
  wanted: ReadonlyMap<string, Wanted>,
): Promise<void> {
  const relations = ids.filter(isRelationshipId);
  if (relations.length === 0) return;
  const pointers = relations.flatMap((id) => (wanted.get(id)?.keys ?? []).map((key): RelationEnd => ({ id, key })));
  await tx.point(journal, relations, pointers);
}

function creatorOf({ raw: { created_by_ref: creator }, feed }: StixObject & { feed: string }): string {
  return typeof creator === 'string' ? creator : `feed ${feed}`;
}

function versionOf({ version }: StixObject, now: Micros): Micros {
  const at = (version === null ? undefined : parseTimestamp(version)) ?? 0;
  return at > now ? 0 : at;
}

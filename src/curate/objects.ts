import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import type { ObjectEntry } from '../model/entry.ts';
import { jsonText } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { floorToMillis, formatMillis, parseTimestamp } from '../model/timestamp.ts';
import { isWithin, type Tlp } from '../model/tlp.ts';
import { isTlpMarking, tlpOfObject } from '../stix/marking.ts';
import { lastVersions, type Transaction } from '../store/store.ts';
import type { Curated, JournalView } from './curate.ts';
import type { FeedView } from './merge.ts';

/**
 * Brings a journal up to what its feeds now hold under these ids: of each the newest version within the ceiling, if the
 * journal takes objects at all. What no longer qualifies leaves: with a last version that says `revoked` when it has a
 * `modified` of its own, else (observables, markings: STIX 2.1 sections 3.1 and 3.2) without a word.
 *
 * Marking definitions go into every journal and join its company: indicators keep their references to them, and a marking
 * that can't be read binds nobody. What Sluice itself says of TLP and of who it is, nobody else says.
 */
export async function curateObjects(
  tx: Transaction,
  { definition, feeds }: JournalView,
  ids: readonly string[],
): Promise<Curated> {
  const { name, policy, keep } = definition;
  if (ids.length === 0) return { entries: 0, withdrawn: 0 };
  const standing = await standingObjects(tx, name, ids);
  const taken = policy.objects === 'all' ? ids : ids.filter(isStatement);
  const wanted = await newestWithin(tx, policy.tlp, feeds, taken);
  const fresh = [...wanted.values()].filter(
    (object) =>
      standing.get(object.id)?.raw !== jsonText(object.raw) &&
      (isStatement(object.id) || standing.get(object.id)?.company !== true),
  );
  const gone = [...standing.values()].filter((entry) => !entry.company && !wanted.has(entry.objectId));
  const revocable = gone.filter((entry) => 'modified' in JSON.parse(entry.raw));
  const told = revocable.filter((entry) => JSON.parse(entry.raw).revoked !== true);
  const silent = gone.filter((entry) => !revocable.includes(entry));
  const dates = (await tx.stamp(name, fresh.length + told.length)).values();
  const next = (): Micros => dates.next().value as Micros;
  const entries = [
    ...fresh.map((object) => ({
      entry: freshEntry(object, next(), keep),
      replaces: standing.get(object.id)?.dateAdded ?? null,
    })),
    ...told.map((entry) => ({ entry: tombstoneOf(entry, next(), keep), replaces: entry.dateAdded })),
  ];
  if (entries.length > 0) await tx.append(name, entries);
  if (silent.length > 0) {
    await tx.purge(
      name,
      silent.map(({ dateAdded }) => dateAdded),
    );
  }
  return { entries: entries.length, withdrawn: told.length + silent.length };
}

/** The ceiling holds for what passes verbatim as well; an object without a mark has its feed's. */
async function newestWithin(
  tx: Transaction,
  ceiling: Tlp,
  feeds: JournalView['feeds'],
  ids: readonly string[],
): Promise<Map<string, StixObject>> {
  const newest = new Map<string, StixObject & { feed: string }>();
  for (const object of await tx.objectsById([...feeds.keys()], ids)) {
    const tlp = tlpOfObject(object.raw) ?? (feeds.get(object.feed) as FeedView).definition.tlp;
    const other = newest.get(object.id);
    if (isWithin(tlp, ceiling) && (other === undefined || versionOf(object) > versionOf(other))) {
      newest.set(object.id, object);
    }
  }
  return newest;
}

function versionOf({ version }: StixObject): Micros {
  return (version === null ? undefined : parseTimestamp(version)) ?? 0;
}

function tombstoneOf(entry: ObjectEntry, dateAdded: Micros, keep: number): ObjectEntry {
  const version = Math.max(floorToMillis(dateAdded), floorToMillis(entry.version) + MICROS_PER_MS);
  const raw = jsonText({ ...JSON.parse(entry.raw), revoked: true, modified: formatMillis(version) });
  return { ...entry, dateAdded, version, raw, due: dateAdded + keep * MICROS_PER_MS };
}

/** What its author has revoked stays as long as any tombstone. */
function freshEntry(object: StixObject, dateAdded: Micros, keep: number): ObjectEntry {
  const entry = objectEntry(object, dateAdded, isStatement(object.id));
  return object.raw['revoked'] === true ? { ...entry, due: dateAdded + keep * MICROS_PER_MS } : entry;
}

/** A marking definition that is not TLP. */
function isStatement(id: string): boolean {
  return id.startsWith('marking-definition--') && !isTlpMarking(id);
}

export function objectEntry(object: StixObject, dateAdded: Micros, company = false): ObjectEntry {
  return {
    kind: 'object',
    dateAdded,
    objectId: object.id,
    version: (object.version === null ? undefined : parseTimestamp(object.version)) ?? dateAdded,
    superseded: false,
    stixType: object.type,
    company,
    raw: jsonText(object.raw),
    due: null,
  };
}

/** What of these objects stands in a journal, in its last version. */
export async function standingObjects(
  tx: Transaction,
  journal: string,
  ids: readonly string[],
): Promise<Map<string, ObjectEntry>> {
  const standing = new Map<string, ObjectEntry>();
  const filter = lastVersions(journal);
  for (let start = 0; start < ids.length; start += 1000) {
    const objectIds = ids.slice(start, start + 1000);
    const { entries } = await tx.page({ ...filter, objectIds, after: 0, limit: objectIds.length });
    for (const entry of entries) if (entry.kind === 'object') standing.set(entry.objectId, entry);
  }
  return standing;
}

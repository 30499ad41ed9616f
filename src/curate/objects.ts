import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import type { ObjectEntry } from '../model/entry.ts';
import { jsonText } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { floorToMillis, formatMillis, parseTimestamp } from '../model/timestamp.ts';
import { isWithin, type Tlp } from '../model/tlp.ts';
import { isTlpMarking, tlpOfObject } from '../stix/marking.ts';
import type { Transaction } from '../store/store.ts';
import type { JournalView } from './curate.ts';

/**
 * Brings objects that pass verbatim, from a feed marked `feed`, into a journal that takes them; answers how many entries
 * that made. Marking definitions go into every journal and join its company: indicators keep their references to them, and
 * a marking that can't be read binds nobody. What Sluice itself says of TLP and of who it is, nobody else says.
 */
export async function curateObjects(
  tx: Transaction,
  { definition }: JournalView,
  objects: readonly StixObject[],
  feed: Tlp,
): Promise<number> {
  const taken = definition.policy.objects === 'all' ? objects : objects.filter(isStatement);
  if (taken.length === 0) return 0;
  const standing = await standingObjects(
    tx,
    definition.name,
    taken.map(({ id }) => id),
  );
  // The ceiling holds for what passes verbatim as well; an object without a mark has its feed's.
  const admitted = taken.filter(
    (object) =>
      isWithin(tlpOfObject(object.raw) ?? feed, definition.policy.tlp) &&
      (isStatement(object) || standing.get(object.id)?.company !== true),
  );
  const fresh = admitted.filter((object) => standing.get(object.id)?.raw !== jsonText(object.raw));
  const dates = await tx.stamp(definition.name, fresh.length);
  const entries = fresh.map((object, i) => {
    const entry = objectEntry(object, dates[i] as Micros, isStatement(object));
    // What its author has revoked stays as long as any tombstone.
    if (object.raw['revoked'] === true) entry.due = entry.dateAdded + definition.keep * MICROS_PER_MS;
    return { entry, replaces: standing.get(object.id)?.dateAdded ?? null };
  });
  if (entries.length > 0) await tx.append(definition.name, entries);
  return entries.length;
}

/**
 * Takes objects out of a journal. Those with a `modified` of their own leave with a last version that says `revoked`; the
 * rest (observables, markings) know no revocation and leave without a word (STIX 2.1 section 3.1 and 3.2).
 */
export async function withdrawObjects(
  tx: Transaction,
  { definition }: JournalView,
  ids: readonly string[],
): Promise<number> {
  if (definition.policy.objects !== 'all' || ids.length === 0) return 0;
  const standing = [...(await standingObjects(tx, definition.name, ids)).values()].filter((entry) => !entry.company);
  const silent = standing.filter((entry) => !isRevocable(entry));
  if (silent.length > 0)
    await tx.purge(
      definition.name,
      silent.map(({ dateAdded }) => dateAdded),
    );
  const spoken = standing.filter(isRevocable);
  const dates = await tx.stamp(definition.name, spoken.length);
  const entries = spoken.map((entry, i) => {
    const dateAdded = dates[i] as Micros;
    const version = Math.max(floorToMillis(dateAdded), floorToMillis(entry.version) + MICROS_PER_MS);
    const raw = jsonText({ ...JSON.parse(entry.raw), revoked: true, modified: formatMillis(version) });
    const due = dateAdded + definition.keep * MICROS_PER_MS;
    return { entry: { ...entry, dateAdded, version, raw, due }, replaces: entry.dateAdded };
  });
  if (entries.length > 0) await tx.append(definition.name, entries);
  return silent.length + spoken.length;
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

function isStatement({ id, type }: StixObject): boolean {
  return type === 'marking-definition' && !isTlpMarking(id);
}

function isRevocable(entry: ObjectEntry): boolean {
  return 'modified' in JSON.parse(entry.raw);
}

async function standingObjects(
  tx: Transaction,
  journal: string,
  ids: readonly string[],
): Promise<Map<string, ObjectEntry>> {
  const standing = new Map<string, ObjectEntry>();
  const versions = { last: true, first: false, all: false, exact: [] };
  const filter = { journal, observableTypes: null, stixTypes: null, versions };
  for (let start = 0; start < ids.length; start += 1000) {
    const objectIds = ids.slice(start, start + 1000);
    const { entries } = await tx.page({ ...filter, objectIds, after: 0, limit: objectIds.length });
    for (const entry of entries) if (entry.kind === 'object') standing.set(entry.objectId, entry);
  }
  return standing;
}

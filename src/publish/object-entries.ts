import { MICROS_PER_MS, type Micros, type Millis } from '../model/clock.ts';
import type { ObjectEntry } from '../model/entry.ts';
import { lastVersions } from '../model/entry-filter.ts';
import { jsonText } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { floorToMillis, formatMillis, parseTimestamp } from '../model/timestamp.ts';
import { tlpOfId } from '../stix/marking.ts';
import type { Transaction } from '../store/store.ts';

/** The journal entries of objects that pass verbatim. */

/** The last version of an object that leaves, which says `revoked` (STIX 2.1 section 3.2). `keep`: it stays so long, in milliseconds. */
export function objectTombstone(entry: ObjectEntry, dateAdded: Micros, keep: Millis): ObjectEntry {
  const version = versionAfter(entry, dateAdded);
  const raw = jsonText({ ...JSON.parse(entry.raw), revoked: true, modified: formatMillis(version) });
  return { ...entry, dateAdded, version, raw, due: dateAdded + keep * MICROS_PER_MS };
}

/** A version that is later than one that stands (STIX 2.1 section 3.2 `modified`). */
function versionAfter(standing: ObjectEntry, dateAdded: Micros): Micros {
  return Math.max(floorToMillis(dateAdded), floorToMillis(standing.version) + MICROS_PER_MS);
}

/**
 * The next version of an object. One that its author has revoked stays as long as any tombstone. A relation whose ends have changed
 * since the version that stands, or that comes back, is a later version of it, whatever its author dated it.
 */
export function versionEntry(
  object: StixObject & { isRelated: boolean },
  standing: ObjectEntry | undefined,
  dateAdded: Micros,
  keep: Millis,
): ObjectEntry {
  const entry = objectEntry(object, dateAdded, isMarkingDefinition(object.id));
  if (object.isRelated && standing !== undefined && entry.version <= standing.version) {
    entry.version = versionAfter(standing, dateAdded);
    entry.raw = jsonText({ ...object.raw, modified: formatMillis(entry.version) });
  }
  return object.raw['revoked'] === true ? { ...entry, due: dateAdded + keep * MICROS_PER_MS } : entry;
}

/** Is it the id of a marking definition that is not one of TLP's own? */
export function isMarkingDefinition(id: string): boolean {
  return id.startsWith('marking-definition--') && tlpOfId(id) === null;
}

/** An entry of an object as it is, dated `dateAdded`. */
export function objectEntry(object: StixObject, dateAdded: Micros, isProducerObject = false): ObjectEntry {
  return {
    kind: 'object',
    dateAdded,
    objectId: object.id,
    version: (object.version === null ? undefined : parseTimestamp(object.version)) ?? dateAdded,
    superseded: false,
    stixType: object.type,
    isProducerObject,
    raw: jsonText(object.raw),
    due: null,
  };
}

/** The last versions of these objects in a journal, by id. */
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

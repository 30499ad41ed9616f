import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import type { ObjectEntry } from '../model/entry.ts';
import { type JsonObject, jsonText, parseJson } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { floorToMillis, formatMillis, parseTimestamp } from '../model/timestamp.ts';
import { tlpMarkingIds } from '../stix/marking.ts';
import type { Transaction } from '../store/store.ts';
import { objectEntry, standingObjects } from './object-entries.ts';

/**
 * The first entries of every journal: the identity of its producer, and the markings up to its ceiling. All journals hold the same
 * identity in the same version, for it has one id (STIX 2.1 section 3.6); a changed name is a new version in all of them.
 */

/** Returns the identity as it stands in the journals when it says the same, else a later version of it. */
export async function currentIdentity(tx: Transaction, wanted: StixObject): Promise<StixObject> {
  let newest: ObjectEntry | null = null;
  for (const { name } of await tx.journals()) {
    const entry = (await standingObjects(tx, name, [wanted.id])).get(wanted.id);
    if (entry !== undefined && (newest === null || entry.version > newest.version)) newest = entry;
  }
  if (newest === null) return wanted;
  const known: JsonObject = parseJson(newest.raw);
  if (undated(known) === undated(wanted.raw)) return { ...wanted, version: String(known['modified']), raw: known };
  const modified = formatMillis(Math.max(timeOf(wanted), floorToMillis(newest.version) + MICROS_PER_MS));
  const created = known['created'] ?? modified;
  return { ...wanted, version: modified, raw: { ...wanted.raw, created, modified } };
}

/** Appends producer objects that a journal lacks or has in another version; TLP markings that are no longer among them leave. */
export async function appendProducerObjects(
  tx: Transaction,
  journal: string,
  objects: readonly StixObject[],
): Promise<void> {
  const ids = new Set(objects.map(({ id }) => id));
  const known = await standingObjects(tx, journal, [...new Set([...ids, ...tlpMarkingIds])]);
  const former = [...known.values()].filter(({ objectId }) => !ids.has(objectId));
  if (former.length > 0) {
    await tx.purge(
      journal,
      former.map(({ dateAdded }) => dateAdded),
    );
  }
  const lacking = objects.filter((object) => known.get(object.id)?.raw !== jsonText(object.raw));
  const dates = await tx.stamp(journal, lacking.length);
  const entries = lacking.map((object, i) => ({
    entry: objectEntry(object, dates[i] as Micros, true),
    replaces: known.get(object.id)?.dateAdded ?? null,
  }));
  if (entries.length > 0) await tx.append(journal, entries);
}

/** All that it says but its dates, as text. */
function undated(raw: JsonObject): string {
  return JSON.stringify({ ...raw, created: null, modified: null });
}

function timeOf({ raw }: StixObject): Micros {
  return parseTimestamp(String(raw['modified'])) ?? 0;
}

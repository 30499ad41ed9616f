import type { IndicatorEntry } from '../model/entry.ts';
import { type JsonObject, parseJson } from '../model/json.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { StixObject } from '../model/observation.ts';
import { relationshipEnds } from '../stix/relationship.ts';
import { sourceObjectsOf } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';

/** Replaces the ends of relations whose upstream objects are merged by the ids under which the journal serves them. */

type Held = StixObject & { feed: string };

/** A relation as a journal serves it. */
export interface ServedRelation {
  raw: JsonObject;
  /** The observables whose live entries are its ends. */
  keys: ObservableKey[];
  /** As its feed sent it, it names an end that is not served under that id. */
  isMerged: boolean;
}

/** Returns a held object with the ends that the journal serves; null where it does not serve one of them. */
export type ReplaceEnds = (object: Held) => ServedRelation | null;

/**
 * Reads what is needed to replace the ends of these objects.
 *
 * An upstream object is served by the live entries on the observables on which its feed speaks by its id, where the feed is
 * named as one of the sources: so an end never shows something that the journal leaves out. An object that names several observables is
 * served by the entry with the smallest key, because a relation has one id at each end. What passes verbatim
 * keeps its id. All other objects are returned as they are, and so is a relation that its feed has revoked, whose ends may be gone.
 */
export async function readEnds(tx: Transaction, journal: string, held: readonly Held[]): Promise<ReplaceEnds> {
  const wanted = new Map<string, Set<string>>();
  for (const object of held) {
    for (const { id } of relationshipEnds(object)) {
      const ids = wanted.get(object.feed) ?? new Set();
      wanted.set(object.feed, ids.add(id));
    }
  }
  const served = new Map<string, ServedEnds>();
  for (const [feed, ids] of wanted) served.set(feed, await servedBy(tx, journal, feed, [...ids]));
  return (object) => {
    const { feed, raw } = object;
    const changed: JsonObject = {};
    const keys: ObservableKey[] = [];
    let isMerged = false;
    for (const { property, id } of relationshipEnds(object)) {
      const { entries, verbatim } = served.get(feed) as ServedEnds;
      const entry = entries.get(id);
      if (entry === undefined && verbatim.has(id)) continue;
      isMerged = true;
      if (raw['revoked'] === true) break;
      if (entry === undefined) return null;
      changed[property] = entry.objectId;
      keys.push(entry.key);
    }
    return { raw: keys.length === 0 ? raw : { ...raw, ...changed }, keys, isMerged };
  };
}

interface ServedEnds {
  /** By upstream id. */
  entries: ReadonlyMap<string, IndicatorEntry>;
  /** Upstream ids of objects that the feed holds as they came. */
  verbatim: ReadonlySet<string>;
}

async function servedBy(tx: Transaction, journal: string, feed: string, ids: readonly string[]): Promise<ServedEnds> {
  const asked = new Set(ids);
  const observations = await tx.saidBy(feed, ids);
  const live = new Map(
    (await tx.liveEntries(journal, [...new Set(observations.map(({ key }) => key))]))
      .filter(({ sources }) => parseJson(sources).some((claim) => claim.feed === feed))
      .map((entry) => [entry.key, entry]),
  );
  const entries = new Map<string, IndicatorEntry>();
  for (const observation of observations) {
    const { key } = observation;
    const entry = live.get(key);
    if (entry === undefined) continue;
    for (const { id } of sourceObjectsOf(observation)) {
      if (!asked.has(id)) continue;
      const known = entries.get(id);
      if (known === undefined || key < known.key) entries.set(id, entry);
    }
  }
  return { entries, verbatim: new Set((await tx.objectVersions(feed, ids)).keys()) };
}

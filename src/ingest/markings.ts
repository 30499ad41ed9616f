import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, Rejection, StixObject } from '../model/observation.ts';
import { type Changes, changesOf } from '../publish/changes.ts';
import { objectMarkings, otherMarkingsOf } from '../stix/marking.ts';
import type { Transaction } from '../store/store.ts';
import type { FeedPull } from './pull.ts';

/** Marking definitions may come before what they mark, behind it, in an earlier pull, or never. */

/** What bears a marking is published anew in slices of this size. */
const SLICE = 250;
/** Markings of a pull that are remembered; of more than that, nothing is said should they never come. */
const MOST_REFS = 10_000;

/** Yields everything that bears one of these markings, because their definitions came or changed. */
export async function* bearersOf(
  tx: Transaction,
  feed: FeedDefinition,
  markings: readonly string[],
): AsyncGenerator<Changes> {
  if (markings.length === 0) return;
  let key: ObservableKey | null = null;
  do {
    const keys: ObservableKey[] = await tx.markedKeys(feed.name, markings, key, SLICE);
    const found = await tx.observations([feed.name], keys);
    yield changesOf(feed.name, new Map(found.map(({ feed: _, ...observation }) => [observation.key, observation])));
    key = keys.at(-1) ?? null;
  } while (key !== null);
  let id: string | null = null;
  do {
    const ids: string[] = await tx.markedObjects(feed.name, markings, id, SLICE);
    yield { keys: [], objects: ids };
    id = ids.at(-1) ?? null;
  } while (id !== null);
}

export function isMarking(id: string): boolean {
  return id.startsWith('marking-definition--');
}

/** Notes the markings that only their definitions explain. */
export function noteMarkings(
  { markings }: FeedPull,
  observations: readonly Observation[],
  objects: readonly StixObject[],
): void {
  const note = (refs: readonly string[]): void => {
    for (const ref of refs) {
      const count = markings.get(ref);
      if (count !== undefined || markings.size < MOST_REFS) markings.set(ref, (count ?? 0) + 1);
    }
  };
  for (const { kept } of observations) if (kept !== null) note(otherMarkingsOf(kept));
  for (const { raw } of objects) note(objectMarkings(raw).others);
}

/**
 * At the end of a whole pull: marks the definitions of the markings that its rows bear as seen, for they stand as long as something
 * bears them. Returns a note for each that never came.
 */
export async function saveDefinitions(tx: Transaction, { feed, mark, markings }: FeedPull): Promise<Rejection[]> {
  const definitions = await tx.objectsById([feed.name], [...markings.keys()]);
  await tx.observeObjects(
    mark,
    definitions.map(({ feed: _, ...definition }) => definition),
  );
  const known = new Set(definitions.map(({ id }) => id));
  const unexplained = [...markings].filter(([ref]) => !known.has(ref));
  return unexplained.map(([ref, count]) => ({
    reason: 'not-served',
    detail: `${count} bear a marking whose definition never came along; it counts as TLP:RED until it does`,
    row: ref,
    isNote: true,
  }));
}

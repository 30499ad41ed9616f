import type { Micros } from '../model/clock.ts';
import type { ObservableKey } from '../model/observable.ts';
import { isMergeableId } from '../stix/relationship.ts';
import { sourceObjectsOf } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';
import { curateObjects } from './objects.ts';
import { addCurated, type Curated, curate, type JournalView, type News } from './publish.ts';

/** Relations follow what they point at: whatever becomes of it in a journal, they are told there in the same commit. */

/** Relations are told in slices of this size: there is no bound to how many point at one indicator. */
const SLICE = 1000;

/** Brings a journal up to what is now known about observables and objects, and the relations that point at them. */
export async function bring(
  tx: Transaction,
  view: JournalView,
  about: readonly ObservableKey[] | News,
  ids: readonly string[],
  now: Micros,
): Promise<Curated> {
  const counts = await curate(tx, view, about, now);
  addCurated(counts, await curateObjects(tx, view, ids, now));
  const keys = 'observations' in about ? [...about.observations.keys()] : about;
  for await (const slice of relationsOn(tx, view, keys, ids.filter(isMergeableId))) {
    addCurated(counts, await curateObjects(tx, view, slice, now));
  }
  return counts;
}

/**
 * Relations with an end among these upstream ids or the statements on these observables, and those that point at one of these
 * observables in the journal: what stood for an end may be said by nobody any more.
 */
async function* relationsOn(
  tx: Transaction,
  { definition, feeds }: JournalView,
  keys: readonly ObservableKey[],
  ids: readonly string[],
): AsyncGenerator<string[]> {
  const { name, policy } = definition;
  if (policy.objects !== 'all' || (keys.length === 0 && ids.length === 0)) return;
  yield* walk((after) => tx.pointing(name, keys, after, SLICE));
  const relating = await tx.relatingFeeds([...feeds.keys()]);
  if (relating.length === 0) return;
  const ends = new Map(relating.map((feed) => [feed, [...ids]]));
  for (const observation of await tx.observations(relating, keys)) {
    const known = ends.get(observation.feed) as string[];
    for (const { id } of sourceObjectsOf(observation)) known.push(id);
  }
  for (const [feed, all] of ends) yield* walk((after) => tx.relatedObjects(feed, all, after, SLICE));
}

async function* walk(next: (after: string | null) => Promise<string[]>): AsyncGenerator<string[]> {
  for (let slice = await next(null); slice.length > 0; slice = await next(slice.at(-1) as string)) yield slice;
}

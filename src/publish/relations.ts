import type { ObservableKey } from '../model/observable.ts';
import { sourceObjectsOf } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';
import type { JournalContext } from './journals.ts';

/** There is no bound to how many relations point at one indicator: they are read in slices of this size. */
const SLICE = 1000;

/**
 * Yields ids of relations with an end among these upstream ids or the statements on these observables, and of those that point at
 * one of these observables in the journal, even if no feed says the observable any more.
 */
export async function* relationsOn(
  tx: Transaction,
  { definition, feeds }: JournalContext,
  keys: readonly ObservableKey[],
  ids: readonly string[],
): AsyncGenerator<string[]> {
  const { name } = definition;
  if (keys.length === 0 && ids.length === 0) return;
  yield* inSlices((after) => tx.pointing(name, keys, after, SLICE));
  const relating = await tx.relatingFeeds([...feeds.keys()]);
  if (relating.length === 0) return;
  const ends = new Map(relating.map((feed) => [feed, [...ids]]));
  for (const observation of await tx.observations(relating, keys)) {
    const known = ends.get(observation.feed) ?? [];
    for (const { id } of sourceObjectsOf(observation)) known.push(id);
  }
  for (const [feed, all] of ends) yield* inSlices((after) => tx.relatedObjects(feed, all, after, SLICE));
}

async function* inSlices(next: (after: string | null) => Promise<string[]>): AsyncGenerator<string[]> {
  let after: string | null = null;
  for (;;) {
    const slice: string[] = await next(after);
    const last = slice.at(-1);
    if (last === undefined) return;
    yield slice;
    after = last;
  }
}

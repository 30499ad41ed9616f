import type { Micros } from '../model/clock.ts';
import type { CollectionDefinition } from '../model/definition.ts';
import { lastVersions } from '../model/entry-filter.ts';
import { type ObservableType, observableTypes } from '../model/observable.ts';
import type { Writer } from '../store/store.ts';

/**
 * Collections that only name types read a part of their pool's journal. When one names more types than before, its readers are past
 * the dates of what it now admits. Those entries are appended again, at new dates. Readers of other collections see the same version
 * once more, which changes nothing for them.
 */

/** The types of each collection on a journal, by its id; null: all. */
export type Views = Record<string, readonly ObservableType[] | null>;

export function viewsOf(
  journal: string,
  collections: readonly Pick<CollectionDefinition, 'id' | 'journal' | 'types'>[],
) {
  return Object.fromEntries(
    collections.filter((collection) => collection.journal === journal).map(({ id, types }) => [id, types]),
  ) satisfies Views;
}

/** Types that a collection admits now and did not before. */
export function widened(before: Views, now: Views): ObservableType[] {
  const added = Object.entries(now).flatMap(([id, types]) => {
    const known = before[id];
    if (known === undefined || known === null) return [];
    return (types ?? observableTypes).filter((type) => !known.includes(type));
  });
  return [...new Set(added)];
}

/** Appends the live indicators of these types again, as they are. When it is cut off, all of it is done again. */
export async function readmit(
  writer: Pick<Writer, 'transaction'>,
  journal: string,
  types: readonly ObservableType[],
  slice: number,
  signal: AbortSignal,
): Promise<void> {
  const filter = lastVersions(journal, types);
  let after: Micros = 0;
  let end: Micros | null = null;
  do {
    signal.throwIfAborted();
    const from: Micros = after;
    const until: Micros | null = end;
    [after, end] = await writer.transaction(async (tx): Promise<[Micros, Micros]> => {
      const last = until ?? (await tx.journals()).find(({ name }) => name === journal)?.head ?? 0;
      const { entries } = await tx.page({ ...filter, after: from, limit: slice });
      const standing = entries.filter(({ dateAdded }) => dateAdded <= last);
      const live = standing.filter((entry) => entry.kind === 'indicator' && !entry.revoked);
      const dates = await tx.stamp(journal, live.length);
      const again = live.map((entry, i) => ({
        entry: { ...entry, dateAdded: dates[i] as Micros },
        replaces: entry.dateAdded,
      }));
      if (again.length > 0) await tx.append(journal, again);
      return [standing.at(-1)?.dateAdded ?? last, last];
    });
  } while (after < end);
}

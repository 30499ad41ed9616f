import type { Micros } from '../model/clock.ts';
import type { Entry } from '../model/entry.ts';
import { filterOf } from './checkpoint.ts';
import type { DeliveryContext } from './context.ts';

/** About one bulk request, so that memory does not grow with the collection. */
const PAGE = 1000;

/** A stretch of a collection's journal. */
export interface JournalPage {
  entries: Entry[];
  /** dateAdded of the last entry that was read; the date before the page where none was. */
  until: Micros;
  /** There are more entries up to the head. */
  more: boolean;
}

/** Reads a collection after a date, page by page: up to `head`, and only the entries that `includes` takes. */
export async function* readPages(
  { store, collection, signal, page: limit = PAGE }: DeliveryContext,
  after: Micros,
  { head = Number.POSITIVE_INFINITY, includes = (_: Entry): boolean => true } = {},
): AsyncGenerator<JournalPage> {
  let until = after;
  for (let more = true; more; ) {
    signal.throwIfAborted();
    const page = await store.page({ ...filterOf(collection), after: until, limit });
    until = page.entries.at(-1)?.dateAdded ?? until;
    more = page.more && until < head;
    yield { entries: page.entries.filter((entry) => entry.dateAdded <= head && includes(entry)), until, more };
  }
}

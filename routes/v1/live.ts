import type { Micros } from '../../src/model/clock.ts';
import type { Claim, IndicatorEntry } from '../../src/model/entry.ts';
import { eventLoop } from '../../src/model/turns.ts';
import type { Reader } from '../../src/store/store.ts';
import type { IocFilter } from './filter.ts';

/** Rows read at once: one short view of the store, and what a slow reader holds in memory. */
export const SLICE = 250;
/** Rows looked at for one page where a filter has no index; then the page ends early, and its cursor goes on. */
const MAX_EXAMINED = 200_000;

export interface LivePage extends IocFilter {
  offset: number;
  limit: number;
}

export interface LiveSlice {
  entries: IndicatorEntry[];
  /** Date of the last row that was looked at: what comes next is older. */
  reached: Micros;
  /** Is there anything older to look at? */
  more: boolean;
}

/** Live indicators, newest entry first, slice by slice. Each slice is a view of its own: none is held while one is written. */
export async function* readLive(reader: Reader, page: LivePage): AsyncGenerator<LiveSlice> {
  const { types, category } = page;
  if (types?.length === 0) return;
  const isScan = category !== null;
  let { before, offset: skip, limit: left } = page;
  for (let examined = 0; left > 0; examined += SLICE) {
    const slice = await reader.live({
      ...queryOf(page),
      before,
      // The store counts what it filters; what is filtered here is counted here.
      offset: isScan ? 0 : skip,
      limit: isScan ? SLICE : Math.min(SLICE, left),
    });
    const matching = isScan ? slice.entries.filter((entry) => hasCategory(entry, category)) : slice.entries;
    const skipped = isScan ? Math.min(skip, matching.length) : 0;
    const entries = matching.slice(skipped, skipped + left);
    const last = slice.entries.at(-1);
    if (last === undefined) return;
    skip = isScan ? skip - skipped : 0;
    left -= entries.length;
    // A full page ends with its last entry; whatever the slice holds behind it belongs to the next one.
    const reached = (left === 0 ? entries.at(-1) : last)?.dateAdded ?? last.dateAdded;
    yield { entries, reached, more: slice.more || reached !== last.dateAdded };
    if (!slice.more || examined >= MAX_EXAMINED) return;
    before = reached;
    await eventLoop.next();
  }
}

/** A filter as the store is asked for it, but for the category, which is no column. */
export function queryOf({ collection, types, confidence, since, before }: IocFilter) {
  return {
    journal: collection.journal,
    observableTypes: types,
    minConfidence: confidence?.[0] ?? null,
    maxConfidence: confidence?.[1] ?? null,
    since,
    before,
  };
}

/** Does any source put it there? */
export function hasCategory({ sources }: IndicatorEntry, category: string): boolean {
  return (JSON.parse(sources) as Claim[]).some((claim) => claim.category?.toLowerCase() === category);
}

/** Where a page lies: known before its first byte is written, because links and headers say it. */
export interface PageBounds {
  /** Dates of its newest and oldest entry; null for an empty page. */
  newest: Micros | null;
  oldest: Micros | null;
  count: number;
  /** Entries among these that `isTold` says no to. */
  leftOut: number;
  /** Where the next page begins; null at the end. */
  next: Micros | null;
  /** The entries themselves, when they are no more than a slice, however many rows were looked at to find them. */
  entries: IndicatorEntry[] | null;
}

/** `isTold`: can the format of the answer express the entry? */
export async function findBounds(
  reader: Reader,
  page: LivePage,
  isTold: (entry: IndicatorEntry) => boolean = () => true,
): Promise<PageBounds> {
  const bounds: PageBounds = { newest: null, oldest: null, count: 0, leftOut: 0, next: null, entries: null };
  const kept: IndicatorEntry[] = [];
  for await (const { entries, reached, more } of readLive(reader, page)) {
    bounds.newest ??= entries[0]?.dateAdded ?? null;
    bounds.oldest = entries.at(-1)?.dateAdded ?? bounds.oldest;
    bounds.count += entries.length;
    bounds.leftOut += entries.length - entries.filter(isTold).length;
    if (bounds.count <= SLICE) kept.push(...entries);
    bounds.next = more ? reached : null;
  }
  return bounds.count <= SLICE ? { ...bounds, entries: kept } : bounds;
}

/** The entries between these bounds; those of a long page as they stand when they are read. */
export async function* readBetween(
  reader: Reader,
  page: LivePage,
  { newest, oldest, entries }: PageBounds,
): AsyncGenerator<IndicatorEntry[]> {
  if (newest === null || oldest === null) return;
  if (entries !== null) {
    yield entries;
    return;
  }
  const within = { ...page, offset: 0, before: newest + 1, since: oldest - 1 };
  for await (const { entries } of readLive(reader, within)) yield entries;
}

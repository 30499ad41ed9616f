import type { Micros } from '../../src/model/clock.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { eventLoop } from '../../src/model/turns.ts';
import { claimsOf } from '../../src/outputs/ioc.ts';
import type { Reader } from '../../src/store/store.ts';
import type { IocFilter } from './filter.ts';

/** Rows that are read at once, in one snapshot of the store. A slow reader keeps so many in memory. */
export const SLICE = 250;
/** Most rows that are read for one page when a filter has no index; then the page ends early and has a cursor. */
const MAX_EXAMINED = 200_000;

export interface LivePage extends IocFilter {
  offset: number;
  /** Infinity: to the end. */
  limit: number;
}

export interface LiveSlice {
  entries: IndicatorEntry[];
  /** Date of the last row that was read; the next ones are older. */
  reached: Micros;
  /** Are there older rows? */
  more: boolean;
}

/** Reads live indicators, newest entry first, slice by slice. Each slice is a snapshot of its own, so none stays open meanwhile. */
export async function* readLive(reader: Reader, page: LivePage): AsyncGenerator<LiveSlice> {
  const { types, category } = page;
  if (types?.length === 0) return;
  const isScan = category !== null;
  let { before, offset: skip, limit: left } = page;
  for (let examined = 0; left > 0; examined += SLICE) {
    const slice = await reader.live({
      ...queryOf(page),
      before,
      // Rows that are filtered here can't be skipped by the store.
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
    // A full page ends with its last entry; the rest of the slice belongs to the next page.
    const reached = (left === 0 ? entries.at(-1) : last)?.dateAdded ?? last.dateAdded;
    yield { entries, reached, more: slice.more || reached !== last.dateAdded };
    if (!slice.more || (examined >= MAX_EXAMINED && Number.isFinite(page.limit))) return;
    before = reached;
    await eventLoop.next();
  }
}

/** Reads everything that matches. What changes meanwhile is found by the next `since`. */
export async function* readWhole(reader: Reader, filter: IocFilter): AsyncGenerator<IndicatorEntry[]> {
  const page = { ...filter, offset: 0, limit: Number.POSITIVE_INFINITY };
  for await (const { entries } of readLive(reader, page)) yield entries;
}

/** The filter as a query of the store. The category is no column, so it is filtered here. */
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

/** Does any source name this category? */
export function hasCategory(entry: IndicatorEntry, category: string): boolean {
  return claimsOf(entry).some((claim) => claim.category?.toLowerCase() === category);
}

/** The range of a page. It is found before the first byte is written, because links and header fields need it. */
export interface PageBounds {
  /** Dates of its newest and oldest entry; null for an empty page. */
  newest: Micros | null;
  oldest: Micros | null;
  count: number;
  /** Entries among these that `isExpressible` refuses. */
  leftOut: number;
  /** Position of the next page; null on the last one. */
  next: Micros | null;
  /** The entries, if they fit into one slice. */
  entries: IndicatorEntry[] | null;
}

/** Finds the range of a page. `isExpressible`: can the format of the answer express the entry? */
export async function findBounds(
  reader: Reader,
  page: LivePage,
  isExpressible: (entry: IndicatorEntry) => boolean = () => true,
): Promise<PageBounds> {
  const bounds: PageBounds = { newest: null, oldest: null, count: 0, leftOut: 0, next: null, entries: null };
  const kept: IndicatorEntry[] = [];
  for await (const { entries, reached, more } of readLive(reader, page)) {
    bounds.newest ??= entries[0]?.dateAdded ?? null;
    bounds.oldest = entries.at(-1)?.dateAdded ?? bounds.oldest;
    bounds.count += entries.length;
    bounds.leftOut += entries.length - entries.filter(isExpressible).length;
    if (bounds.count <= SLICE) kept.push(...entries);
    bounds.next = more ? reached : null;
  }
  return bounds.count <= SLICE ? { ...bounds, entries: kept } : bounds;
}

/** Reads the entries of a page. Those of a long page are read again, as they are then. */
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

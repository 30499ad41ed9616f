import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../model/clock.ts';
import type { Rejection } from '../../model/observation.ts';
import { formatMillis } from '../../model/timestamp.ts';
import { identityOf, type Page } from './page.ts';

/**
 * Reads a list by offset while it changes, without losing a row and without deep offsets.
 *
 * Each page begins with the last row of the page before. When that row isn't there, rows have moved and some may have been
 * skipped: the window is read again. A window that needs offsets beyond `maxOffset` is split into narrower ones, which overlap
 * by a second, since the upstream may count either bound in.
 */
export interface Window {
  since: Micros;
  /** Null: no upper bound. */
  until: Micros | null;
}

export interface WalkOptions {
  since: Micros;
  /** Rows asked for. */
  limit: number;
  /** A window that would need an offset beyond it is split. */
  maxOffset: number;
  read(window: Window, offset: number): Promise<Page>;
  now(): Micros;
}

export interface Step {
  rows: unknown[];
  notes: Rejection[];
  /** Everything updated before it has been read; null: nothing more than before. The last step has none. */
  done: Micros | null;
}

/** A window of this width is not split; its offsets go up to DEEPEST_OFFSET instead. */
const NARROWEST = 2 * MICROS_PER_SECOND;
const SEAM = MICROS_PER_SECOND;
const DEEPEST_OFFSET = 10_000;
const MOST_PIECES = 16;
/** Times that a window whose rows move is read before it is split. */
const READINGS = 3;

/** A window of 1970: it holds rows only where the upstream ignores the time. */
const NOTHING_YET: Window = { since: 0, until: 24 * 3600 * MICROS_PER_SECOND };

/** Yields steps from the oldest window to the newest, so that finished ones can be committed. */
export async function* walk(options: WalkOptions): AsyncGenerator<Step> {
  const windows: Window[] = [{ since: options.since, until: null }];
  let narrows = true;
  let lastFull: string | null = null;
  for (let window = windows.pop(); window !== undefined; window = windows.pop()) {
    const outcome: Outcome = yield* readWindow(window, narrows, windows.length > 0 ? lastFull : null, options);
    if (outcome.pieces !== null) {
      windows.push(...outcome.pieces.reverse());
      continue;
    }
    if (outcome.isRepeated) {
      // Two windows hold the same rows. Where the upstream ignores the time, splitting has no use.
      narrows = (await options.read(NOTHING_YET, 0)).rows.length === 0;
      if (!narrows) windows.length = 0;
      windows.push(narrows ? window : { since: window.since, until: null });
      lastFull = null;
      continue;
    }
    lastFull = outcome.fullPage;
    yield { rows: [], notes: [], done: window.until === null ? null : window.until - SEAM };
  }
}

interface Outcome {
  /** Narrower windows to read instead, oldest first. */
  pieces: Window[] | null;
  /** Identifies the first page when it was full. */
  fullPage: string | null;
  /** The first page was full and equal to that of the window before. */
  isRepeated: boolean;
}

async function* readWindow(
  window: Window,
  narrows: boolean,
  lastFull: string | null,
  options: WalkOptions,
): AsyncGenerator<Step, Outcome> {
  const { limit, maxOffset, read } = options;
  let fullPage: string | null = null;
  let readings = 1;
  let offset = 0;
  let received = 0;
  let anchor: string | null = null;
  let isUnreported = true;
  const seen = new Set<string>();
  for (;;) {
    const page = await read(window, offset);
    const { rows, total } = page;
    yield { rows, notes: [], done: null };
    const pageSize = Math.min(limit, page.limit ?? limit);
    const isFull = rows.length >= pageSize;
    const mayNarrow = narrows && widthOf(window, page, options) > NARROWEST;
    const names = rows.map(identityOf);
    if (offset === 0) fullPage = isFull ? JSON.stringify(names) : null;
    if (narrows && fullPage !== null && fullPage === lastFull) return { pieces: null, fullPage, isRepeated: true };

    if (anchor !== null && !follows(names, anchor, seen)) {
      if (readings < READINGS) {
        readings += 1;
        [offset, received, anchor] = [0, 0, null];
        seen.clear();
        continue;
      }
      if (mayNarrow) return { pieces: split(window, null, page, options), fullPage, isRepeated: false };
      if (isUnreported) yield { rows: [], notes: [unsettled(window)], done: null };
      isUnreported = false;
    }

    for (const name of names) seen.add(name);
    const reached = offset + rows.length;
    const isProgress = reached > received;
    received = reached;
    const next = rows.length > 1 ? received - 1 : received;
    if (!isProgress || !isMore(page, isFull, received)) return { pieces: null, fullPage, isRepeated: false };
    const isDeep = next > maxOffset || (isFull && total !== null && total > maxOffset + pageSize);
    if (isDeep && mayNarrow) return { pieces: split(window, total, page, options), fullPage, isRepeated: false };
    if (next > DEEPEST_OFFSET) {
      yield { rows: [], notes: [beyondReach(window, total)], done: null };
      return { pieces: null, fullPage, isRepeated: false };
    }
    anchor = names.length > 1 ? (names.at(-1) ?? null) : null;
    offset = next;
  }
}

/**
 * Does this page continue the last one, whose last row is `anchor`? Rows before the anchor were pushed down by newer rows, so they
 * must have been seen; rows behind it must mostly be new.
 */
function follows(names: readonly string[], anchor: string, seen: ReadonlySet<string>): boolean {
  const at = names.indexOf(anchor);
  if (at === -1 || !names.slice(0, at).every((name) => seen.has(name))) return false;
  const behind = names.slice(at + 1);
  return behind.filter((name) => seen.has(name)).length * 2 <= behind.length;
}

/**
 * Is there more behind this page? A total or a link that says so is believed. A total that says that there is no more is not
 * believed where it is the page's own size.
 */
function isMore({ rows, total, hasNext }: Page, isFull: boolean, received: number): boolean {
  if (hasNext) return true;
  if (total === null) return isFull;
  return received < total || (isFull && total === rows.length);
}

function widthOf(window: Window, page: Page, options: WalkOptions): Micros {
  const now = options.now();
  return (window.until ?? Math.min(page.at ?? now, now + MICROS_PER_DAY)) - window.since;
}

/** Splits a window into equal parts, as many as the total needs; into two when it is unknown. */
function split(window: Window, total: number | null, page: Page, options: WalkOptions): Window[] {
  const width = widthOf(window, page, options);
  const wanted = total === null ? 2 : Math.ceil(total / Math.max(options.maxOffset, options.limit));
  const count = Math.min(Math.max(wanted, 2), MOST_PIECES, Math.floor(width / (NARROWEST / 2)));
  return Array.from({ length: count }, (_, i) => ({
    since: window.since + Math.floor((width * i) / count),
    until: i === count - 1 ? window.until : window.since + Math.floor((width * (i + 1)) / count) + SEAM,
  }));
}

function spanOf({ since, until }: Window): string {
  return `${formatMillis(since)} to ${until === null ? 'now' : formatMillis(until)}`;
}

function beyondReach(window: Window, total: number | null): Rejection {
  const count = total === null ? '' : ` of ${total}`;
  const detail = `rows beyond offset ${DEEPEST_OFFSET}${count}, all updated within so short a time, can't be asked for`;
  return { reason: 'not-served', detail, row: spanOf(window), isNote: true };
}

function unsettled(window: Window): Rejection {
  const detail = 'the list kept changing its order while it was read; rows of this time may be missing';
  return { reason: 'not-served', detail, row: spanOf(window), isNote: true };
}

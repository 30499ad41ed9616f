import type { Micros } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import type { Json } from '../../model/json.ts';
import { isInFuture } from '../../model/response-date.ts';
import { parseTimestamp } from '../../model/timestamp.ts';
import { isCut, restartsBehind } from './bookmark.ts';
import { MAX_PAGE } from './options.ts';
import type { Page } from './page.ts';
import { explainLimit, smallerLimit } from './page-size.ts';

/**
 * Reads one collection page by page, oldest first, however the server pages: by `next`, by X-TAXII-Date-Added-Last, or by neither.
 * Reading always ends: a repeated page ends that way of paging, and the number of pages is bounded.
 */
export interface PageRequest {
  /** `added_after` (TAXII 2.1 section 3.4). */
  after: string | null;
  next: string | null;
  limit: number;
}

export interface WalkOptions {
  after: string | null;
  /** `added_after` without a bookmark; null: everything is read. */
  earliest: string | null;
  isPrecise: boolean;
  limit: number;
  /** The server is known to refuse larger pages. */
  isCapped: boolean;
  now(): Micros;
  /** Yields the objects of a page in pieces; returns the page with the remaining ones. */
  read(request: PageRequest): AsyncGenerator<Json[], Page>;
}

export interface Step {
  objects: Json[];
  /** Everything added up to this date has been yielded and may be committed; null: nothing more than before. */
  done: string | null;
  isPrecise: boolean;
  /** The page size that the server accepts. */
  limit: number;
  /** Why objects may be missing behind; it is reported, and a snapshot with a gap withdraws nothing. */
  gap: string | null;
  /** A date of the server that lies ahead of its own clock, and is not believed. */
  ahead: string | null;
  /** The bookmark lay in the future: reading begins anew. */
  isAnew: boolean;
}

const MOST_PAGES = 20_000;
/** Most pages in a row that bring nothing new. */
const MOST_REPEATS = 3;
/** Most pages in a row without an object; some servers filter after they have cut pages. */
const MOST_EMPTY = 200;

/** Throws what `read` throws, and `upstream-too-large` for a collection without end. */
export async function* walk(options: WalkOptions): AsyncGenerator<Step> {
  const { after, earliest, isPrecise, limit, isCapped } = options;
  const state: State = {
    isPrecise,
    followsNext: true,
    isRaised: false,
    isAccepted: false,
    isCapped,
    tokens: new Set(),
    repeats: 0,
    empty: 0,
    order: openOrder(),
  };
  const pages = new Set<string>();
  let request: PageRequest = { after: after === null ? null : first(after, isPrecise), next: null, limit };
  for (let count = 0; count < MOST_PAGES; count += 1) {
    const { page, limit: accepted } = yield* ask(request, options, state);
    request = { ...request, limit: accepted };
    if (count === 0 && after !== null && after !== earliest && isFuture(after, page, options)) {
      // No object can have such a date, and nothing new would ever come behind it.
      yield { ...stepOf(request, state), objects: page.objects, ahead: after, isAnew: true };
      request = { ...request, after: earliest };
      continue;
    }
    const isRepeated = isKnown(pages, page);
    state.repeats = isRepeated ? state.repeats + 1 : 0;
    state.empty = page.count === 0 ? state.empty + 1 : 0;
    // A date with microseconds shows that the server does not cut its dates.
    if ([page.first, page.last].some((date) => date !== null && !isCut(date))) state.isPrecise = true;
    const done = state.order.add(page);
    const next = decide(request, page, isRepeated, state);
    const step = { ...stepOf(request, state), objects: isRepeated ? [] : page.objects, ahead: page.ahead };
    if ('end' in next) {
      yield { ...step, done: state.order.last(), gap: next.end };
      return;
    }
    yield { ...step, done, gap: next.gap ?? null };
    request = next.ask;
  }
  throw new GatewayError('upstream-too-large', `A collection has more than ${MOST_PAGES} pages.`);
}

/** Is the date ahead of both the server's clock and ours? Either alone may be behind. */
function isFuture(date: string, { at }: Page, { now }: WalkOptions): boolean {
  return isInFuture(parseTimestamp(date) ?? 0, Math.max(at, now()));
}

function stepOf({ limit }: PageRequest, { isPrecise }: State): Step {
  return { objects: [], done: null, isPrecise, limit, gap: null, ahead: null, isAnew: false };
}

/** Asks for one page, with a smaller size where the server refuses so many objects at once. */
async function* ask(
  request: PageRequest,
  { read }: WalkOptions,
  state: State,
): AsyncGenerator<Step, { page: Page; limit: number }> {
  for (let limit = request.limit; ; ) {
    const pieces = read({ ...request, limit });
    try {
      for (let piece = await pieces.next(); ; piece = await pieces.next()) {
        state.isAccepted = true;
        if (piece.done) return { page: piece.value, limit };
        yield { ...stepOf({ ...request, limit }, state), objects: piece.value };
      }
    } catch (error) {
      const smaller = smallerLimit(error, limit, state.isAccepted && !state.isRaised);
      if (smaller === null) throw explainLimit(error, request.limit, limit);
      limit = smaller;
      state.isCapped = true;
    } finally {
      await pieces.return(undefined as never);
    }
  }
}

interface State {
  isPrecise: boolean;
  followsNext: boolean;
  /** A larger page than the configured one was asked for. */
  isRaised: boolean;
  /** The server has answered a page of this size. */
  isAccepted: boolean;
  isCapped: boolean;
  tokens: Set<string>;
  repeats: number;
  empty: number;
  order: Order;
}

/** Decides what to ask for after a page. `end`: there is no more, or (with the reason) no way to it. */
function decide(
  request: PageRequest,
  page: Page,
  isRepeated: boolean,
  state: State,
): { ask: PageRequest; gap?: string } | { end: string | null } {
  const { count, more, next, last, isBundle } = page;
  const isFull = count >= request.limit;
  const saysMore = more === true || (next !== null && state.followsNext && isRepeated);
  if (state.empty > MOST_EMPTY) return { end: 'the server sends empty pages for ever' };
  if (next !== null && state.followsNext && !isRepeated && !state.tokens.has(next) && (count > 0 || more)) {
    state.tokens.add(next);
    return { ask: { ...request, next } };
  }
  if ((count === 0 && !saysMore) || (next === null && more === false)) return { end: null };
  // From here on `next` is absent or leads nowhere.
  const hadCursor = request.next !== null;
  state.followsNext = false;
  const mayBeMore = saysMore || isFull || (isRepeated && state.isRaised);
  if (!mayBeMore && !isBundle && !(hadCursor && isRepeated)) return { end: null };
  if (last === null || state.repeats >= MOST_REPEATS) {
    if (isRepeated) return { end: 'the server repeats a page for ever' };
    return { end: mayBeMore ? 'the server says that there is more, and gives no way to it' : null };
  }
  return goOnBehind(last, request, mayBeMore, state);
}

/** Goes on by X-TAXII-Date-Added-Last: `added_after` is the date of the last object, or a little before where dates are cut. */
function goOnBehind(
  last: string,
  request: PageRequest,
  mayBeMore: boolean,
  state: State,
): { ask: PageRequest; gap?: string } | { end: string | null } {
  const later = restartsBehind(last, state.isPrecise).filter((date) => isLater(date, request.after));
  const [after] = later;
  if (after === undefined) {
    return { end: mayBeMore ? 'the server answers the same however added_after moves' : null };
  }
  const ask = { ...request, after, next: null };
  if (after !== last || state.isPrecise || !isCut(last) || !mayBeMore) return { ask };
  // A date has more objects than a page holds: a larger page is tried, else some are skipped.
  if (!state.isRaised && !state.isCapped && request.limit < MAX_PAGE) {
    state.isRaised = true;
    return { ask: { ...request, next: null, limit: MAX_PAGE } };
  }
  return { ask, gap: `more rows were added at ${last} than a page holds, and the server can't tell them apart` };
}

function first(after: string, isPrecise: boolean): string {
  return restartsBehind(after, isPrecise)[0] ?? after;
}

function isLater(a: string, b: string | null): boolean {
  return b === null || (parseTimestamp(a) ?? 0) > (parseTimestamp(b) ?? 0);
}

function isKnown(pages: Set<string>, page: Page): boolean {
  if (page.count === 0) return false;
  if (pages.has(page.fingerprint)) return true;
  pages.add(page.fingerprint);
  return false;
}

interface Order {
  /** Adds a page. Returns the date up to which everything has been yielded: that of the page before. */
  add(page: Page): string | null;
  /** The latest date of any page. */
  last(): string | null;
}

/**
 * Checks that pages come oldest first (TAXII 2.1 section 3.3). A page's date is only used when the next page has come: with a server
 * that sends the newest first, older objects would else be skipped after an interruption. Empty pages prove nothing.
 */
function openOrder(): Order {
  let isRising = true;
  let before: string | null = null;
  let latest: string | null = null;
  return {
    add({ count, first, last }) {
      if (count === 0 || last === null) return null;
      if (first !== null && isLater(first, last)) isRising = false;
      if (before !== null && isLater(before, last)) isRising = false;
      const done = isRising ? before : null;
      before = last;
      for (const date of [first, last]) if (date !== null && isLater(date, latest)) latest = date;
      return done;
    },
    last: () => latest,
  };
}

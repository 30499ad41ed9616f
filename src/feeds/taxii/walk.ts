import type { Micros } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import type { Json } from '../../model/json.ts';
import { isInFuture } from '../../model/response-date.ts';
import { parseTimestamp } from '../../model/timestamp.ts';
import { isCut, restartsBehind } from './bookmark.ts';
import { MAX_PAGE } from './options.ts';
import type { Page } from './page.ts';
import { smallerLimit, toldLimit } from './page-size.ts';

/**
 * Reading one collection page by page, oldest first, however a server pages: by `next`, by X-TAXII-Date-Added-Last, or by
 * saying neither. Nothing is read for ever: a page that comes again ends that way of paging, and there is a last page.
 */
export interface Question {
  /** `added_after` (TAXII 2.1 section 3.4). */
  after: string | null;
  next: string | null;
  limit: number;
}

export interface WalkOptions {
  after: string | null;
  /** Where reading begins without a bookmark; null: with everything. */
  earliest: string | null;
  isPrecise: boolean;
  limit: number;
  /** The server was seen to refuse larger pages. */
  isCapped: boolean;
  now(): Micros;
  /** The objects of a page in pieces, then the page with the rest of them. */
  read(question: Question): AsyncGenerator<Json[], Page>;
}

export interface Step {
  objects: Json[];
  /** Everything added up to this date has been given, and may be committed; null: as before. */
  done: string | null;
  isPrecise: boolean;
  /** Objects a page that the server takes. */
  limit: number;
  /** Why something behind may be missing; told, and in a snapshot no reason to withdraw anything. */
  gap: string | null;
  /** A date of the server that is not believed. */
  ahead: string | null;
  /** The bookmark that was begun with is worth nothing. */
  isAnew: boolean;
}

const MOST_PAGES = 20_000;
/** Pages in a row that bring nothing new. */
const MOST_REPEATS = 3;
/** Pages in a row without a row, as of a server that filters what it has already cut into pages. */
const MOST_EMPTY = 200;

/** Throws what `read` throws, and `upstream-too-large` for a collection without end. */
export async function* walk(options: WalkOptions): AsyncGenerator<Step> {
  const { after, earliest, isPrecise, limit, isCapped } = options;
  const state: State = {
    isPrecise,
    usesNext: true,
    isRaised: false,
    isTaken: false,
    isCapped,
    tokens: new Set(),
    repeats: 0,
    empty: 0,
    order: openOrder(),
  };
  const pages = new Set<string>();
  let question: Question = { after: after === null ? null : first(after, isPrecise), next: null, limit };
  for (let count = 0; count < MOST_PAGES; count += 1) {
    const { page, limit: taken } = yield* ask(question, options, state);
    question = { ...question, limit: taken };
    if (count === 0 && after !== null && after !== earliest && isFuture(after, page, options)) {
      // No row can bear such a date: whatever left it, nothing new would ever come behind it.
      yield { ...stepOf(question, state), objects: page.objects, ahead: after, isAnew: true };
      question = { ...question, after: earliest };
      continue;
    }
    const isRepeated = isKnown(pages, page);
    state.repeats = isRepeated ? state.repeats + 1 : 0;
    state.empty = page.count === 0 ? state.empty + 1 : 0;
    // A date beyond milliseconds shows that the server has them all.
    if ([page.first, page.last].some((date) => date !== null && !isCut(date))) state.isPrecise = true;
    const done = state.order.add(page);
    const next = decide(question, page, isRepeated, state);
    const step = { ...stepOf(question, state), objects: isRepeated ? [] : page.objects, ahead: page.ahead };
    if ('end' in next) {
      yield { ...step, done: state.order.last(), gap: next.end };
      return;
    }
    yield { ...step, done, gap: next.gap ?? null };
    question = next.ask;
  }
  throw new GatewayError('upstream-too-large', `A collection has more than ${MOST_PAGES} pages.`);
}

/** By the server's clock and by ours: either may be behind, and what they agree on begins all anew. */
function isFuture(date: string, { at }: Page, { now }: WalkOptions): boolean {
  return isInFuture(parseTimestamp(date) ?? 0, Math.max(at, now()));
}

function stepOf({ limit }: Question, { isPrecise }: State): Step {
  return { objects: [], done: null, isPrecise, limit, gap: null, ahead: null, isAnew: false };
}

/** One page, with smaller ones tried where the server refuses so many objects at once. */
async function* ask(
  question: Question,
  { read }: WalkOptions,
  state: State,
): AsyncGenerator<Step, { page: Page; limit: number }> {
  for (let limit = question.limit; ; ) {
    const pieces = read({ ...question, limit });
    try {
      for (let piece = await pieces.next(); ; piece = await pieces.next()) {
        state.isTaken = true;
        if (piece.done) return { page: piece.value, limit };
        yield { ...stepOf({ ...question, limit }, state), objects: piece.value };
      }
    } catch (error) {
      const smaller = smallerLimit(error, limit, state.isTaken && !state.isRaised);
      if (smaller === null) throw toldLimit(error, question.limit, limit);
      limit = smaller;
      state.isCapped = true;
    } finally {
      await pieces.return(undefined as never);
    }
  }
}

interface State {
  isPrecise: boolean;
  usesNext: boolean;
  /** A larger page was asked for than the configuration says. */
  isRaised: boolean;
  /** The server has answered a page of the size that is asked for. */
  isTaken: boolean;
  isCapped: boolean;
  tokens: Set<string>;
  repeats: number;
  empty: number;
  order: Order;
}

/** What to ask for after this page; `end`, with what may be missing, when there is no more or no way to it. */
function decide(
  question: Question,
  page: Page,
  isRepeated: boolean,
  state: State,
): { ask: Question; gap?: string } | { end: string | null } {
  const { count, more, next, last, isBundle } = page;
  const isFull = count >= question.limit;
  const saysMore = more === true || (next !== null && state.usesNext && isRepeated);
  if (state.empty > MOST_EMPTY) return { end: 'the server sends empty pages for ever' };
  if (next !== null && state.usesNext && !isRepeated && !state.tokens.has(next) && (count > 0 || more)) {
    state.tokens.add(next);
    return { ask: { ...question, next } };
  }
  if ((count === 0 && !saysMore) || (next === null && more === false)) return { end: null };
  // From here on the server's own cursor leads nowhere, or there is none.
  const hadCursor = question.next !== null;
  state.usesNext = false;
  const mayBeMore = saysMore || isFull || (isRepeated && state.isRaised);
  if (!mayBeMore && !isBundle && !(hadCursor && isRepeated)) return { end: null };
  if (last === null || state.repeats >= MOST_REPEATS) {
    if (isRepeated) return { end: 'the server repeats a page for ever' };
    return { end: mayBeMore ? 'the server says that there is more, and gives no way to it' : null };
  }
  return goOnBehind(last, question, mayBeMore, state);
}

/** Header paging: `added_after` is the date of the last row, or a little before where the server cuts its dates. */
function goOnBehind(
  last: string,
  question: Question,
  mayBeMore: boolean,
  state: State,
): { ask: Question; gap?: string } | { end: string | null } {
  const later = restartsBehind(last, state.isPrecise).filter((date) => isLater(date, question.after));
  const [after] = later;
  if (after === undefined) {
    return { end: mayBeMore ? 'the server answers the same however added_after moves' : null };
  }
  const ask = { ...question, after, next: null };
  if (after !== last || state.isPrecise || !isCut(last) || !mayBeMore) return { ask };
  // More rows of one date than a page holds: a larger page shows them, or some are stepped over.
  if (!state.isRaised && !state.isCapped && question.limit < MAX_PAGE) {
    state.isRaised = true;
    return { ask: { ...question, next: null, limit: MAX_PAGE } };
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
  if (pages.has(page.print)) return true;
  pages.add(page.print);
  return false;
}

interface Order {
  /** Takes in a page; answers the date up to which all is known to have been given: that of the page before it. */
  add(page: Page): string | null;
  /** The latest date that was told for a row. */
  last(): string | null;
}

/**
 * Pages come oldest first (TAXII 2.1 section 3.3), which is only believed of a page when the next has come: a server that
 * begins with the newest would else have its older rows passed over after a break. Pages without rows prove nothing.
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

import { GatewayError } from '../../model/error.ts';
import { parseTimestamp } from '../../model/timestamp.ts';
import { isCut, restartsBehind } from './bookmark.ts';
import { MAX_PAGE } from './options.ts';
import { type Page, printOf } from './page.ts';

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
  isPrecise: boolean;
  limit: number;
  read(question: Question): Promise<Page>;
}

export interface Step {
  objects: Page['objects'];
  /** Everything added up to this date has been given, and may be committed; null: as before. */
  done: string | null;
  isPrecise: boolean;
  /** Why something behind may be missing; told, and in a snapshot no reason to withdraw anything. */
  gap: string | null;
}

const MOST_PAGES = 20_000;
/** Pages in a row that bring nothing new. */
const MOST_REPEATS = 3;
/** Pages in a row without a row, as of a server that filters what it has already cut into pages. */
const MOST_EMPTY = 200;

/** Throws what `read` throws, and `upstream-too-large` for a collection without end. */
export async function* walk({ after, isPrecise: wasPrecise, limit, read }: WalkOptions): AsyncGenerator<Step> {
  const state: State = {
    isPrecise: wasPrecise,
    usesNext: true,
    isRaised: false,
    tokens: new Set(),
    repeats: 0,
    empty: 0,
    order: openOrder(),
  };
  const pages = new Set<string>();
  let question: Question = { after: after === null ? null : first(after, wasPrecise), next: null, limit };
  for (let count = 0; count < MOST_PAGES; count += 1) {
    const page = await read(question);
    const isRepeated = isKnown(pages, page);
    state.repeats = isRepeated ? state.repeats + 1 : 0;
    state.empty = page.objects.length === 0 ? state.empty + 1 : 0;
    // A date beyond milliseconds shows that the server has them all.
    if ([page.first, page.last].some((date) => date !== null && !isCut(date))) state.isPrecise = true;
    const done = state.order.add(page);
    const step = decide(question, page, isRepeated, state);
    const objects = isRepeated ? [] : page.objects;
    if ('end' in step) {
      yield { objects, done: state.order.last(), isPrecise: state.isPrecise, gap: step.end };
      return;
    }
    yield { objects, done, isPrecise: state.isPrecise, gap: step.gap ?? null };
    question = step.ask;
  }
  throw new GatewayError('upstream-too-large', `A collection has more than ${MOST_PAGES} pages.`);
}

interface State {
  isPrecise: boolean;
  usesNext: boolean;
  /** A larger page was asked for than the configuration says. */
  isRaised: boolean;
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
  const { objects, more, next, last, isBundle } = page;
  const isFull = objects.length >= question.limit;
  const saysMore = more === true || (next !== null && state.usesNext && isRepeated);
  if (state.empty > MOST_EMPTY) return { end: 'the server sends empty pages for ever' };
  if (next !== null && state.usesNext && !isRepeated && !state.tokens.has(next) && (objects.length > 0 || more)) {
    state.tokens.add(next);
    return { ask: { ...question, next } };
  }
  if ((objects.length === 0 && !saysMore) || (next === null && more === false)) return { end: null };
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
  if (!state.isRaised && question.limit < MAX_PAGE) {
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
  if (page.objects.length === 0) return false;
  const print = printOf(page);
  if (pages.has(print)) return true;
  pages.add(print);
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
    add({ objects, first, last }) {
      if (objects.length === 0 || last === null) return null;
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

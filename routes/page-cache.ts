import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Micros } from '../src/model/clock.ts';
import { createSemaphore } from '../src/model/semaphore.ts';
import { eventLoop } from '../src/model/turns.ts';
import type { PageValidity, Reader } from '../src/store/store.ts';
import { type AcceptedCodings, encodeBody, SHORTEST_ENCODED } from './coding.ts';
import { unavailable } from './readiness.ts';

/** A page that a route can render, and what it depends on. */
export interface PageQuestion {
  /** Everything that decides what the page says besides the journal's content; never who asks. */
  key: string;
  journal: string;
  /** What stands in the journal up to this date, inclusive, plays no part. */
  after: Micros;
  render(): Promise<RenderedPage>;
}

export interface RenderedPage {
  body: Buffer;
  /** Content-Type, and whatever else belongs to this page. */
  headers: Record<string, string>;
  /** Read with the rows or before them, never after: of (after, until], to the head where `until` is null. */
  validity: PageValidity;
  until: Micros | null;
}

/** A page as it is sent: all that is the same for everybody is written once. */
export interface Page {
  /** In its coding. */
  body: Buffer;
  /** Header fields, name and value by turns: those of 200, and those of 304. */
  fields: { whole: readonly string[]; unchanged: readonly string[] };
  /** A strong entity tag (RFC 9110 section 8.8.3). */
  etag: string;
}

interface KeptPage extends Page {
  validity: PageValidity;
  until: Micros | null;
  /** The store's state when the page was last known to be right; null: look again. */
  rightAt: number | null;
}

export interface PageCache {
  /**
   * The page as the journal stands at the time of asking, or newer; rows are read only when nothing that is kept says it. At once
   * where nothing was committed since it was last asked for.
   */
  read(question: PageQuestion, codings: AcceptedCodings): Page | Promise<Page>;
  figures(): { hits: number; misses: number; evictions: number; pages: number; bytes: number };
}

/** Pages in the making at a time: each may hold some megabytes. */
const MAX_RENDERING = 4;
/** Pages that may wait to be made before new requests are sent away. */
export const MAX_WAITING_PAGES = 200;
/** What a page takes besides its body and key, header fields among it. */
const OVERHEAD = 2048;

/**
 * Only for whoever brought the key, and asked about each time: what is kept is never shown stale, and an unchanged page costs
 * a 304 (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
 */
export const PAGE_CACHE_CONTROL = 'private, no-cache';
/** What a page may differ by, among them every way to bring a key (RFC 9110 section 12.5.5). */
export const PAGE_VARY = 'Accept, Accept-Encoding, Authorization, X-API-Key';

/** Keeps pages ready to be sent, up to `bytes` of them; those used least recently go first. `common` goes with every answer. */
export function createPageCache(
  reader: Pick<Reader, 'validity' | 'state'>,
  bytes: number,
  common: Record<string, string> = {},
): PageCache {
  // Counters of a store that was restored from a backup may come to the same figures again: no tag outlives the process.
  const generation = randomBytes(9).toString('base64url');
  const counts = { hits: 0, misses: 0, evictions: 0 };
  const pages = new LRUCache<string, KeptPage>({
    maxSize: bytes,
    sizeCalculation: ({ body }, key) => body.length + 2 * key.length + OVERHEAD,
    dispose: (_page, _key, reason) => {
      if (reason === 'evict') counts.evictions += 1;
    },
  });
  const making = new Map<string, Promise<KeptPage>>();
  const rendering = createSemaphore(MAX_RENDERING);

  const isValid = async ({ journal, after }: PageQuestion, page: KeptPage): Promise<boolean> => {
    // Before the validity: what is committed in between makes a page be looked at once more, never once too rarely.
    const state = reader.state();
    const now = await reader.validity(journal, after, page.until);
    const isRight = now.changes === page.validity.changes && (page.until !== null || now.head === page.validity.head);
    if (isRight) page.rightAt = state;
    return isRight;
  };

  const make = async (id: string, question: PageQuestion, codings: AcceptedCodings): Promise<KeptPage> => {
    const rightAt = reader.state();
    const { body: plain, headers, validity, until } = await question.render();
    const coding = plain.length < SHORTEST_ENCODED && codings.isPlainFine ? 'identity' : codings.best;
    const body = await encodeBody(plain, coding);
    const state = hash('sha256', `${generation} ${validity.changes} ${until ?? validity.head} ${id}`, 'base64url');
    const etag = `"${state.slice(0, 22)}${coding === 'identity' ? '' : `-${coding}`}"`;
    const { 'content-type': type = '', ...others } = headers;
    const unchanged = { ...common, ...others, etag, 'cache-control': PAGE_CACHE_CONTROL, vary: PAGE_VARY };
    const content = { 'content-type': type, 'content-length': String(body.length) };
    const whole = { ...unchanged, ...content, ...(coding === 'identity' ? {} : { 'content-encoding': coding }) };
    const fields = { whole: Object.entries(whole).flat(), unchanged: Object.entries(unchanged).flat() };
    const page = { body, fields, etag, validity, until, rightAt };
    pages.set(id, page);
    return page;
  };

  const readAnew = async (
    id: string,
    kept: KeptPage | undefined,
    question: PageQuestion,
    codings: AcceptedCodings,
  ): Promise<Page> => {
    if (kept !== undefined && (await isValid(question, kept))) {
      counts.hits += 1;
      return kept;
    }
    counts.misses += 1;
    // One that is being made may have been read before this request came: it is looked at like one that is kept.
    const running = await making.get(id)?.catch(() => undefined);
    if (running !== undefined && (await isValid(question, running))) return running;
    const begun = making.get(id);
    if (begun !== undefined) return begun;
    if (rendering.waiting >= MAX_WAITING_PAGES) {
      throw unavailable('Too many pages are being made already; try again soon.');
    }
    const made = rendering
      .run(async () => {
        await eventLoop.next();
        return make(id, question, codings);
      })
      .finally(() => making.delete(id));
    making.set(id, made);
    return made;
  };

  return {
    read(question, codings) {
      const id = `${codings.best}${codings.isPlainFine ? '' : '!'} ${question.key}`;
      const state = reader.state();
      const kept = pages.get(id);
      if (kept === undefined || state === null || kept.rightAt !== state) return readAnew(id, kept, question, codings);
      counts.hits += 1;
      return kept;
    },
    figures: () => ({ ...counts, pages: pages.size, bytes: pages.calculatedSize }),
  };
}

import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Micros } from '../src/model/clock.ts';
import { createSemaphore } from '../src/model/semaphore.ts';
import { type Flights, shareFlight } from '../src/model/single-flight.ts';
import { eventLoop } from '../src/model/turns.ts';
import type { PageValidity, Reader } from '../src/store/store.ts';
import { type AcceptedCodings, encodeBody, SHORTEST_ENCODED } from './coding.ts';
import { unavailable } from './readiness.ts';

/** A page that is asked for: how to render it, and what it depends on. */
export interface PageRequest {
  /** Everything that decides what the page says besides the journal's content. Never the client. */
  key: string;
  journal: string;
  /** The page depends on entries after this date only. */
  after: Micros;
  render(): Promise<RenderedPage>;
}

export interface RenderedPage {
  body: Buffer;
  /** Content-Type, and whatever else belongs to this page. */
  headers: Record<string, string>;
  /** Of the entries in (after, until], or up to the head where `until` is null. Read with the rows or before them, never after. */
  validity: PageValidity;
  until: Micros | null;
}

/** A page as it is sent: everything that is the same for all clients, made once. */
export interface Page {
  /** In its content coding. */
  body: Buffer;
  /** Header fields, name and value by turns: those of 200, and those of 304. */
  fields: { whole: readonly string[]; unchanged: readonly string[] };
  /** A strong entity tag (RFC 9110 section 8.8.3). */
  etag: string;
}

interface CachedPage extends Page {
  validity: PageValidity;
  until: Micros | null;
  /** The store's state when the page was last found valid; null: its validity has to be read again. */
  validAt: number | null;
}

export interface PageCache {
  /**
   * Returns the page as the journal stands at the time of the call, or newer. Rows are read only when no valid page is cached. It
   * returns without a promise when nothing was committed since the last call.
   */
  read(request: PageRequest, codings: AcceptedCodings): Page | Promise<Page>;
  counters(): { hits: number; misses: number; evictions: number; pages: number; bytes: number };
}

/** Pages that are rendered at a time: each may take some megabytes. */
const MAX_RENDERING = 4;
/** Pages that may wait for a permit before new requests are refused. */
export const MAX_WAITING_PAGES = 200;
/** Bytes that a page takes besides its body and key: header fields and objects. */
const OVERHEAD = 2048;

/**
 * For the client's own cache only, which asks again each time: nothing stale is shown, and an unchanged page costs a 304
 * (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
 */
export const PAGE_CACHE_CONTROL = 'private, no-cache';
/** Header fields that an answer depends on, among them every way to bring a key (RFC 9110 section 12.5.5). */
export const PAGE_VARY = 'Accept, Accept-Encoding, Authorization, X-API-Key';

/** Caches pages up to `bytes`; the least recently used go first. `common`: header fields of every answer. */
export function createPageCache(
  reader: Pick<Reader, 'validity' | 'state'>,
  bytes: number,
  common: Record<string, string> = {},
): PageCache {
  // No tag outlives the process: a store that was restored from a backup may count to the same numbers again.
  const generation = randomBytes(9).toString('base64url');
  const counts = { hits: 0, misses: 0, evictions: 0 };
  const pages = new LRUCache<string, CachedPage>({
    maxSize: bytes,
    sizeCalculation: ({ body }, key) => body.length + 2 * key.length + OVERHEAD,
    dispose: (_page, _key, reason) => {
      if (reason === 'evict') counts.evictions += 1;
    },
  });
  const flights: Flights<CachedPage> = new Map();
  const permits = createSemaphore(MAX_RENDERING);

  const isValid = async ({ journal, after }: PageRequest, page: CachedPage): Promise<boolean> => {
    // Read before the validity: a commit in between only makes the page be checked once more.
    const state = reader.state();
    const now = await reader.validity(journal, after, page.until);
    const isStillValid =
      now.changes === page.validity.changes && (page.until !== null || now.head === page.validity.head);
    if (isStillValid) page.validAt = state;
    return isStillValid;
  };

  const render = async (id: string, request: PageRequest, codings: AcceptedCodings): Promise<CachedPage> => {
    const validAt = reader.state();
    const { body: plain, headers, validity, until } = await request.render();
    const coding = plain.length < SHORTEST_ENCODED && codings.isPlainFine ? 'identity' : codings.best;
    const body = await encodeBody(plain, coding);
    const state = hash('sha256', `${generation} ${validity.changes} ${until ?? validity.head} ${id}`, 'base64url');
    const etag = `"${state.slice(0, 22)}${coding === 'identity' ? '' : `-${coding}`}"`;
    const { 'content-type': type = '', ...others } = headers;
    const unchanged = { ...common, ...others, etag, 'cache-control': PAGE_CACHE_CONTROL, vary: PAGE_VARY };
    const content = { 'content-type': type, 'content-length': String(body.length) };
    const whole = { ...unchanged, ...content, ...(coding === 'identity' ? {} : { 'content-encoding': coding }) };
    const fields = { whole: Object.entries(whole).flat(), unchanged: Object.entries(unchanged).flat() };
    const page = { body, fields, etag, validity, until, validAt };
    pages.set(id, page);
    return page;
  };

  const readAgain = async (
    id: string,
    cached: CachedPage | undefined,
    request: PageRequest,
    codings: AcceptedCodings,
  ): Promise<Page> => {
    if (cached !== undefined && (await isValid(request, cached))) {
      counts.hits += 1;
      return cached;
    }
    counts.misses += 1;
    // What is being rendered may have been read before this request came, so it is checked like a cached page.
    const running = await flights.get(id)?.catch(() => undefined);
    if (running !== undefined && (await isValid(request, running))) return running;
    if (!flights.has(id) && permits.waiting >= MAX_WAITING_PAGES) {
      throw unavailable('Too many pages are being made already; try again soon.');
    }
    const { value } = await shareFlight(flights, id, () =>
      permits.run(async () => {
        await eventLoop.next();
        return render(id, request, codings);
      }),
    );
    return value;
  };

  return {
    read(request, codings) {
      const id = `${codings.best}${codings.isPlainFine ? '' : '!'} ${request.key}`;
      const state = reader.state();
      const cached = pages.get(id);
      if (cached === undefined || state === null || cached.validAt !== state)
        return readAgain(id, cached, request, codings);
      counts.hits += 1;
      return cached;
    },
    counters: () => ({ ...counts, pages: pages.size, bytes: pages.calculatedSize }),
  };
}

import Type, { type Static } from 'typebox';
import { GatewayError } from '../../model/error.ts';
import type { Json } from '../../model/json.ts';
import { mayCarryKey } from '../../model/key-hosts.ts';
import { rowText } from '../../stix/validate.ts';
import type { FeedBatch, FeedContext, FeedResponse } from '../feed.ts';
import { type Found, inBatches } from '../reading/batches.ts';
import { readSelector } from '../reading/json-path.ts';
import type { ByteStream } from '../reading/stream.ts';
import { unpack } from '../reading/unpack.ts';
import { askAny } from './fallback.ts';
import { type Asked, ask, type RequestOptions } from './request.ts';

/** Lists that come in pages. */

const parameter = (description: string) =>
  Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9_.\\[\\]$-]{1,64}$', 'x-expects': 'the name of a parameter', description }),
  );
const path = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }));

export const pagingSchema = Type.Object(
  {
    mode: Type.Enum(['offset', 'page', 'cursor', 'link'], {
      description:
        'What names a page: the number of its first row, its own number, a word that the page before gives, or an address that the page before gives.',
    }),
    parameter: parameter('Names the page. Default: offset, page or cursor, as mode says.'),
    first: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1, description: 'The first page. Default: 0 for offset, 1 for page.' }),
    ),
    size: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100_000, description: 'Rows a page, as it is asked for.' }),
    ),
    size_parameter: parameter('Carries size. Default: limit.'),
    in: Type.Optional(
      Type.Enum(['query', 'body'], {
        description: 'Where parameters go. Default: body where body is a mapping, else query.',
      }),
    ),
    next: path('Where a page gives the next cursor or address. Default for link: its Link header (RFC 8288).'),
    total: path(
      'Where a page says how many rows there are in all pages. Without it, an empty page is the end, or one without a next; with it, a cursor may be the same on each page.',
    ),
    max_pages: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 100_000,
      description: 'A list of more pages is refused.',
    }),
    max_rows: Type.Integer({
      default: 5_000_000,
      minimum: 1,
      maximum: 100_000_000,
      description: 'A list of more rows is refused.',
    }),
  },
  { additionalProperties: false, description: 'The list comes in pages, which are one pull together.' },
);
export type PagingOptions = Static<typeof pagingSchema>;

/** Throws `config-invalid` for options that contradict each other. */
export function checkPaging(
  { mode, next, total, parameter: name, first, size, size_parameter, in: place }: PagingOptions,
  options: RequestOptions,
): void {
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if (options.url === undefined) refuse('paging goes with url');
  for (const selector of [next, total]) if (selector !== undefined) readSelector(selector);
  if (mode === 'cursor' && next === undefined)
    refuse('paging.next is missing: where does a page give the next cursor?');
  if ((mode === 'offset' || mode === 'page') && next !== undefined) refuse(`paging.next goes without mode ${mode}`);
  if (mode === 'link' && (name ?? place) !== undefined) refuse('paging.parameter and in go without mode link');
  if (mode === 'link' && options.body !== undefined) refuse('paging by link goes without a body');
  if ((mode === 'link' || mode === 'cursor') && first !== undefined) refuse(`paging.first goes without mode ${mode}`);
  if (size_parameter !== undefined && size === undefined) refuse('paging.size_parameter needs a size');
  if (place === 'body' && (typeof options.body !== 'object' || options.body === null))
    refuse('paging.in: body needs a body that is a mapping');
}

/** What a document held beside its rows. */
export interface Seen {
  /** Items that were no metadata. */
  items: number;
  /** What is around the items, which are left out of it. */
  root: Json;
  /** Tell pages apart: the first and the last item. */
  first: Json;
  last: Json;
}

type ReadPage = (page: ByteStream) => AsyncGenerator<Found[], Seen>;

/**
 * Reads page after page to the end of the list. Throws `upstream-malformed` for a page or cursor that comes twice, and
 * `upstream-too-large` beyond the bounds: such a pull is not whole.
 */
export async function* readPages(
  feed: FeedContext<RequestOptions>,
  asked: Asked,
  paging: PagingOptions,
  readPage: ReadPage,
): AsyncGenerator<FeedBatch> {
  let note: string | null = null;
  const onNote = (text: string): void => {
    note = text;
  };
  const pages = followPages(feed, { ...asked, conditional: false }, paging, readPage, onNote);
  for await (const batch of inBatches(pages)) yield note === null ? batch : { ...batch, note };
}

async function* followPages(
  feed: FeedContext<RequestOptions>,
  asked: Asked,
  paging: PagingOptions,
  readPage: ReadPage,
  onNote: (note: string) => void,
): AsyncGenerator<Found[]> {
  const { signal } = feed;
  const [findNext, findTotal] = [paging.next, paging.total].map((one) =>
    one === undefined ? null : readSelector(one),
  );
  const known = new Set<string>();
  let position: Position = { number: paging.first ?? (paging.mode === 'page' ? 1 : 0), cursor: null, link: null };
  let before: string | null = null;
  let rows = 0;
  let address: string | null = null;
  for (let pages = 1; ; pages += 1) {
    signal.throwIfAborted();
    const request = { ...asked, ...parametersOf(position, paging, feed.options) };
    let response: FeedResponse | null;
    if (address === null) {
      const answer = await askAny(feed, request);
      if (answer?.note) onNote(answer.note);
      address = answer?.address ?? null;
      response = answer?.response ?? null;
    } else {
      response = await ask(feed, { ...request, address, ...(position.link === null ? {} : { link: position.link }) });
    }
    const host = (position.link ?? new URL(address ?? feed.options.url ?? '')).host;
    const refuse = (
      message: string,
      code: 'upstream-malformed' | 'upstream-too-large' = 'upstream-malformed',
    ): never => {
      throw new GatewayError(code, `Page ${pages} of ${host} ${message}.`);
    };
    if (response === null) return refuse('answers 304 without being asked');
    const end = yield* readWhole({ name: `page ${pages} of ${host}`, body: response.body }, readPage, signal);
    rows += end.items;
    const identity = [end.items, rowText(end.first), rowText(end.last)].join(' ');
    if (end.items > 0 && identity === before) refuse('is the page before once more: does it know the parameter');
    before = identity;
    if (rows > paging.max_rows)
      refuse(`ends beyond ${paging.max_rows} rows, which is more than max_rows allows`, 'upstream-too-large');
    const said = { items: end.items, next: findNext?.(end.root), total: findTotal?.(end.root) };
    const next = nextOf(said, rows, position, paging, response, host, feed.options);
    if (next === null) return;
    if (pages >= paging.max_pages) refuse(`is not the last, and max_pages allows no more`, 'upstream-too-large');
    const key = next.cursor ?? next.link?.href ?? String(next.number);
    // Some cursors name the walk, not the page: there the total says when it ends.
    const isKnown = known.has(key) && !(paging.mode === 'cursor' && typeof said.total === 'number');
    if (isKnown) refuse('names a page as the next that came before');
    known.add(key);
    position = next;
  }
}

interface Position {
  number: number;
  cursor: string | null;
  link: URL | null;
}

function parametersOf(
  { number, cursor }: Position,
  paging: PagingOptions,
  { body }: RequestOptions,
): Pick<Asked, 'query' | 'members'> {
  const { mode, size, size_parameter = 'limit', parameter: name = mode } = paging;
  const place = paging.in ?? (typeof body === 'object' && body !== null ? 'body' : 'query');
  const members = {
    ...(size === undefined ? {} : { [size_parameter]: size }),
    ...(mode === 'offset' || mode === 'page' ? { [name]: number } : {}),
    ...(mode === 'cursor' && cursor !== null ? { [name]: cursor } : {}),
  };
  if (place === 'body') return { members };
  return { query: Object.fromEntries(Object.entries(members).map(([key, value]) => [key, String(value)])) };
}

/** One document, whatever packs it. */
async function* readWhole(page: ByteStream, readPage: ReadPage, signal: AbortSignal): AsyncGenerator<Found[], Seen> {
  let end: Seen = { items: 0, root: null, first: null, last: null };
  for await (const document of unpack(page, signal)) end = yield* readPage(document);
  return end;
}

/** Null: it was the last page. */
function nextOf(
  { items, next, total }: { items: number; next: unknown; total: unknown },
  rows: number,
  { number, link }: Position,
  { mode, next: path }: PagingOptions,
  { headers }: FeedResponse,
  host: string,
  options: RequestOptions,
): Position | null {
  const isAll = typeof total === 'number' && rows >= total;
  if (mode === 'cursor' && isAll) return null;
  if (mode === 'offset' || mode === 'page') {
    if (items === 0 || isAll) return null;
    return { number: mode === 'page' ? number + 1 : number + items, cursor: null, link: null };
  }
  const given = mode === 'link' && path === undefined ? linkOf(headers['link'] ?? '') : next;
  if (given === undefined || given === null || given === '' || given === false) return null;
  if (typeof given !== 'string' && typeof given !== 'number') {
    throw new GatewayError('upstream-malformed', `${host} gives a next page that is neither text nor a number.`);
  }
  const text = String(given);
  if (mode === 'cursor') return { number: number + 1, cursor: text, link: null };
  return { number: number + 1, cursor: null, link: linkTo(text, link, host, options) };
}

/** RFC 8288: `<https://h.example/list?page=2>; rel="next"`. */
function linkOf(header: string): string | null {
  for (const [, target, parameters] of header.matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)/i.test(parameters ?? '')) return target ?? null;
  }
  return null;
}

/** The upstream may not send us, or the key, to where it wants. */
function linkTo(text: string, from: URL | null, host: string, options: RequestOptions): URL {
  const base = from ?? new URL(options.url ?? '');
  const own = new URL(options.url ?? '');
  const link = URL.canParse(text, base.href) ? new URL(text, base) : null;
  // Servers behind a proxy write their own address as the proxy asks for it.
  if (link !== null && own.protocol === 'https:' && link.protocol === 'http:' && link.port === own.port)
    link.protocol = 'https:';
  if (link !== null && link.username === '' && link.password === '' && mayCarryKey(own, link, options.hosts))
    return link;
  const where = link === null ? 'what is no address' : link.host;
  throw new GatewayError(
    'upstream-malformed',
    `${host} gives its next page at ${where}; name that host in hosts if it is meant.`,
  );
}

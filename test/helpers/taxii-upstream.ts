import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { type Clock, MICROS_PER_MS, type Micros } from '../../src/model/clock.ts';
import { isJsonObject, type Json, type JsonObject } from '../../src/model/json.ts';
import { formatMicros, formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { START, uuidOf } from './store.ts';
import { type Fault, misbehave, UPSTREAM_KEY } from './upstream.ts';

/**
 * A TAXII server on loopback that keeps to the standard and, when told to, does what servers in the field do instead.
 */
export interface TaxiiRow {
  added: Micros;
  object: Json;
}

export interface TaxiiOptions {
  clock?: Clock;
  /** The header that lets in, and what must stand in it; null lets everybody in. */
  auth?: { header: string; value: string } | null;
  /** Besides the rows' own, which is called `all`. */
  others?: JsonObject[];
  /** In place of `all`. */
  alone?: JsonObject;
  /** What discovery says; paths and addresses. */
  roots?: string[];
  /** The one spelling of Accept that isn't answered with 406. */
  accept?: string;
  /** 415 where others say 406. */
  refusal?: number;
  /** `cursorless`: `more`, and only the date header to go on by. */
  paging?: 'next' | 'cursorless';
  shape?: 'envelope' | 'bundle' | 'list';
  /** `always`: true even on the last page. `absent`: never told. */
  more?: 'right' | 'always' | 'absent';
  /** X-TAXII-Date-Added-*: `shown` cuts only what is told, `stored` cuts what `added_after` is compared with as well. */
  dates?: { digits: 0 | 3 | 6; cut: 'shown' | 'stored' } | 'absent' | 'undefined';
  /** How X-TAXII-Date-Added-* are written, of what `dates` says. */
  writeDate?: (date: string) => string;
  /** Rows of the very date in `added_after` are answered again. */
  isInclusive?: boolean;
  order?: 'oldest' | 'newest';
  /** `next` is answered with the first page again. */
  nextRepeats?: boolean;
  /** `added_after` is not looked at. */
  ignoresAfter?: boolean;
  maxLimit?: number;
  tls?: ServerOptions;
}

export interface TaxiiRequest {
  url: URL;
  headers: IncomingMessage['headers'];
  /** Of the client's certificate; undefined without one. */
  subject: string | undefined;
}

export interface TaxiiServer {
  url: string;
  rows: TaxiiRow[];
  options: TaxiiOptions;
  requests: TaxiiRequest[];
  faults: Fault[];
  down: Fault | null;
  onRequest: ((request: TaxiiRequest) => void) | null;
}

export const COLLECTION = '91a7b528-80eb-42ed-a74d-c6fbd5a26116';
const ROOT = '/api/root/';
const MEDIA_TYPE = 'application/taxii+json;version=2.1';

export async function startTaxii(t: Test, options: TaxiiOptions = {}): Promise<TaxiiServer> {
  const server: TaxiiServer = { url: '', rows: [], options, requests: [], faults: [], down: null, onRequest: null };
  const listener: RequestListener = (message, reply) => {
    const socket = message.socket as { getPeerCertificate?(): { subject?: { CN?: string } } };
    const request = {
      url: new URL(message.url ?? '/', server.url),
      headers: message.headers,
      subject: socket.getPeerCertificate?.()?.subject?.CN,
    };
    server.requests.push(request);
    server.onRequest?.(request);
    const { clock } = server.options;
    if (clock !== undefined) reply.setHeader('date', new Date(clock.now() / MICROS_PER_MS).toUTCString());
    const fault = server.down ?? server.faults.shift();
    if (fault !== undefined) misbehave(fault, message, reply);
    else answer(request, server, reply);
  };
  const { tls } = options;
  const listening = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  server.url = `${tls === undefined ? 'http' : 'https'}://localhost:${port}`;
  t.teardown(
    () =>
      new Promise((resolve) => {
        listening.close(resolve);
        listening.closeAllConnections();
      }),
  );
  return server;
}

/** An indicator of one comparison; `n` makes its id and its domain. */
export function indicatorOf(n: number, over: JsonObject = {}): JsonObject {
  const time = formatMillis(START - 3_600_000_000);
  return {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(String(n))}`,
    created: time,
    modified: time,
    pattern: `[domain-name:value = 'host-${n}.example.com']`,
    pattern_type: 'stix',
    valid_from: time,
    ...over,
  };
}

/** The version of an indicator that is `minutes` younger than the first. */
export function laterOf(n: number, minutes: number, over: JsonObject = {}): JsonObject {
  return indicatorOf(n, { modified: formatMillis(START - 3_600_000_000 + minutes * 60_000_000), ...over });
}

function answer({ url, headers }: TaxiiRequest, server: TaxiiServer, reply: ServerResponse) {
  const { auth = { header: 'authorization', value: `Bearer ${UPSTREAM_KEY}` }, accept, refusal = 406 } = server.options;
  if (auth !== null && headers[auth.header] !== auth.value) {
    return say(reply, 401, { title: `Not you: ${headers[auth.header]}`, http_status: '401' });
  }
  if (accept !== undefined && headers.accept !== accept) {
    return say(reply, refusal, { title: 'Not so', http_status: String(refusal) });
  }
  if (url.pathname === '/taxii2/') {
    return say(reply, 200, { title: 'Test', api_roots: server.options.roots ?? [ROOT] });
  }
  if (url.pathname === ROOT) {
    return say(reply, 200, { title: 'The root', versions: [MEDIA_TYPE], max_content_length: 1000 });
  }
  const everything = { id: COLLECTION, title: 'Everything', alias: 'all', can_read: true, can_write: false };
  const collection = server.options.alone ?? everything;
  const collections = [collection, ...(server.options.others ?? [])];
  if (url.pathname === `${ROOT}collections/`) return say(reply, 200, { collections });
  const match = /^\/api\/root\/collections\/([^/]+)\/objects\/$/.exec(url.pathname);
  const known = collections.find(({ id, alias }) => [id, alias].includes(decodeURIComponent(match?.[1] ?? '')));
  if (known === undefined) return say(reply, 404, { title: 'Not here', http_status: '404' });
  if (known.can_read === false) return say(reply, 403, { title: 'Not yours', http_status: '403' });
  return list(url.searchParams, server, reply);
}

function list(query: URLSearchParams, { rows, options }: TaxiiServer, reply: ServerResponse) {
  const { shape = 'envelope', paging = 'next', more: mores = 'right', order = 'oldest', dates } = options;
  const digits = typeof dates === 'object' ? dates.digits : 6;
  const shown = (added: Micros): string => withDigits(added, digits);
  const write = (added: Micros): string => options.writeDate?.(shown(added)) ?? shown(added);
  const isStored = typeof dates === 'object' && dates.cut === 'stored';
  const stored = (added: Micros): Micros => (isStored ? (parseTimestamp(shown(added)) ?? 0) : added);
  const after = options.ignoresAfter ? 0 : (parseTimestamp(query.get('added_after') ?? '') ?? 0);
  const limit = Math.min(Number(query.get('limit') ?? 100), options.maxLimit ?? 10_000);
  const types = query.get('match[type]')?.split(',');
  const chosen = rows
    .filter(({ added }) => stored(added) > after || (options.isInclusive === true && stored(added) === after))
    .filter(({ object }) => types === undefined || (isJsonObject(object) && types.includes(String(object['type']))))
    .sort((a, b) => (order === 'oldest' ? a.added - b.added : b.added - a.added));
  const start = options.nextRepeats ? 0 : Number(query.get('next') ?? 0);
  const page = chosen.slice(start, start + limit);
  const hasMore = start + page.length < chosen.length;
  const objects = page.map(({ object }) => object);
  const headers: Record<string, string> = {};
  const [first, last] = [page.at(0), page.at(-1)];
  if (first !== undefined && last !== undefined && dates !== 'absent') {
    headers['x-taxii-date-added-first'] = dates === 'undefined' ? 'undefined' : write(first.added);
    headers['x-taxii-date-added-last'] = dates === 'undefined' ? 'undefined' : write(last.added);
  }
  const more = mores === 'always' ? true : mores === 'right' ? hasMore : undefined;
  if (shape === 'list') return say(reply, 200, objects, headers);
  if (shape === 'bundle') return say(reply, 200, { type: 'bundle', id: `bundle--${uuidOf('b')}`, objects }, headers);
  if (page.length === 0 && mores === 'right') return say(reply, 200, {}, headers);
  const next = paging === 'next' && hasMore ? { next: String(start + page.length) } : {};
  say(reply, 200, { ...(more === undefined ? {} : { more }), ...next, objects }, headers);
}

function withDigits(added: Micros, digits: 0 | 3 | 6): string {
  if (digits === 6) return formatMicros(added);
  return digits === 3 ? formatMillis(added) : `${formatMillis(added).slice(0, 19)}Z`;
}

function say(reply: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  reply.writeHead(status, { 'content-type': MEDIA_TYPE, ...headers }).end(JSON.stringify(body));
}

import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { CollectionDefinition, TaxiiDefinition } from '../src/model/definition.ts';
import { GatewayError } from '../src/model/error.ts';

/** Longest URL: room for a 4 kB cursor and a few hundred ids. */
export const MAX_URL = 16_384;

const FAULT = Symbol('fault');
const EMPTY = Symbol('empty');
export type Query = Record<string, string | undefined>;
interface ParsedQuery extends Query {
  [FAULT]?: GatewayError;
  /** Names of parameters that were given without a value. */
  [EMPTY]?: ReadonlySet<string>;
}

/** A longer query is not cached. */
const MAX_REMEMBERED = 512;
/** Clients repeat their queries. */
const remembered = new LRUCache<string, ParsedQuery>({ max: 1000, memoMethod: readFields });

/**
 * Parses a query. A repeated key is an error (TAXII 2.1 section 3.4). Empty parameters are left out; `isEmptyParameter` tells them from
 * absent ones. The same text gives the same frozen object. Fastify doesn't expect it to throw, so `checkQuery` throws what is wrong.
 */
export function parseQuery(text: string): Query {
  return text.length > MAX_REMEMBERED ? readFields(text) : remembered.memo(text);
}

function readFields(text: string): ParsedQuery {
  const query: ParsedQuery = Object.create(null);
  for (const part of text.split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    try {
      const name = decode(at === -1 ? part : part.slice(0, at));
      if (query[name] !== undefined) query[FAULT] ??= repeated(name.slice(0, 64));
      query[name] = at === -1 ? '' : decode(part.slice(at + 1));
    } catch {
      query[FAULT] = new GatewayError('bad-request', 'The query holds malformed percent-encoding.');
    }
  }
  const empty = Object.keys(query).filter((name) => query[name] === '');
  for (const name of empty) delete query[name];
  if (empty.length > 0) query[EMPTY] = new Set(empty);
  return Object.freeze(query);
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function repeated(parameter: string): GatewayError {
  return new GatewayError('bad-request', `The parameter ${parameter} is repeated.`, { details: { parameter } });
}

/** Runs before validation. Fails with `uri-too-long`, or with the `bad-request` that `parseQuery` found. */
export function checkQuery(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  if (request.url.length <= MAX_URL) done((request.query as ParsedQuery)[FAULT]);
  else done(new GatewayError('uri-too-long', `A URL may have ${MAX_URL} characters.`));
}

/** The query's parameters, which the operation's schema has checked. */
export function readQuery(request: FastifyRequest): Query {
  return request.query as Query;
}

/** Was it given without a value? */
export function isEmptyParameter(query: Query, name: string): boolean {
  return (query as ParsedQuery)[EMPTY]?.has(name) ?? false;
}

/** Objects in a page of a collection: without `limit`, and at most. */
export function pageSizesOf(
  { pageSize, maxPage }: Pick<CollectionDefinition, 'pageSize' | 'maxPage'>,
  taxii: Pick<TaxiiDefinition, 'pageSize' | 'maxPage'>,
): { pageSize: number; maxPage: number } {
  const most = maxPage ?? Math.max(taxii.maxPage, pageSize ?? 0);
  return { pageSize: Math.min(pageSize ?? taxii.pageSize, most), maxPage: most };
}

/** A whole number that the schema has checked, cut to `most`; undefined means the default. */
export function readLimit(text: string | undefined, standard: number, most: number): number {
  return Math.min(text === undefined ? standard : Number(text), most);
}

/** The error for a parameter that a schema can't check. */
export function badParameter(parameter: string, expects: string): GatewayError {
  return new GatewayError('bad-request', `${parameter} must be ${expects}.`, { details: { parameter } });
}

import type { FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { CollectionDefinition, TaxiiDefinition } from '../src/model/definition.ts';
import { GatewayError } from '../src/model/error.ts';

/** Longest URL that is read; what follows a 4 kB cursor and a few hundred ids still fits. */
export const MAX_URL = 16_384;

const FAULT = Symbol('fault');
const EMPTY = Symbol('empty');
export type Query = Record<string, string | undefined>;
interface ParsedQuery extends Query {
  [FAULT]?: GatewayError;
  /** Names of parameters that were given without a value. */
  [EMPTY]?: ReadonlySet<string>;
}

/** A longer text is hardly asked twice. */
const MAX_REMEMBERED = 512;
/** Readers ask the same again and again. */
const remembered = new LRUCache<string, ParsedQuery>({ max: 1000, memoMethod: readFields });

/**
 * Each key once (TAXII 2.1 section 3.4: repeated fields are malformed), and what is empty left out: to most routes it means
 * the same as absent, and `isEmptyParameter` tells the others. The same text gives the same object, which nobody may change. It can't throw where Fastify calls it: `checkQuery`
 * tells what was wrong.
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

/** Before validation. Answers `uri-too-long`, and `bad-request` for what `parseQuery` found. */
export function checkQuery(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  if (request.url.length <= MAX_URL) done((request.query as ParsedQuery)[FAULT]);
  else done(new GatewayError('uri-too-long', `A URL may have ${MAX_URL} characters.`));
}

/** The query as checkQuery left it and the route's schema let it pass. */
export function readQuery(request: FastifyRequest): Query {
  return request.query as Query;
}

/** Was it given without a value? */
export function isEmptyParameter(query: Query, name: string): boolean {
  return (query as ParsedQuery)[EMPTY]?.has(name) ?? false;
}

/** Objects in a page of a collection when a client names no limit, and most of them. */
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

/** The collections' and feeds' common way to refuse a parameter that no pattern can judge. */
export function badParameter(parameter: string, expects: string): GatewayError {
  return new GatewayError('bad-request', `${parameter} must be ${expects}.`, { details: { parameter } });
}

import type { FastifyRequest } from 'fastify';
import { GatewayError } from '../src/model/error.ts';

/** Longest URL that is read; what follows a 4 kB cursor and a few hundred ids still fits. */
export const MAX_URL = 16_384;

const MALFORMED = Symbol('malformed');
export type Query = Record<string, string[]> & { [MALFORMED]?: string };

/** Every value of every key, in order. It can't throw where Fastify calls it: `readQuery` tells what was wrong. */
export function parseQuery(text: string): Query {
  const query: Query = Object.create(null);
  for (const part of text.split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    try {
      const name = decode(at === -1 ? part : part.slice(0, at));
      const value = at === -1 ? '' : decode(part.slice(at + 1));
      const values = query[name];
      if (values === undefined) query[name] = [value];
      else values.push(value);
    } catch {
      query[MALFORMED] = 'The query holds malformed percent-encoding.';
    }
  }
  return query;
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

/** The query, each key once. Throws `uri-too-long` and `bad-request` (TAXII 2.1 section 3.4: repeated fields are malformed). */
export function readQuery(request: FastifyRequest): Record<string, string | undefined> {
  if (request.url.length > MAX_URL) throw new GatewayError('uri-too-long', `A URL may have ${MAX_URL} characters.`);
  const query = request.query as Query;
  const malformed = query[MALFORMED];
  if (malformed !== undefined) throw new GatewayError('bad-request', malformed);
  const single: Record<string, string | undefined> = Object.create(null);
  for (const [name, values] of Object.entries(query)) {
    if (values.length > 1) throw new GatewayError('bad-request', `The parameter ${name.slice(0, 64)} is repeated.`);
    single[name] = values[0];
  }
  return single;
}

/** A whole number of 1 or more, cut to `most`; undefined and empty text mean the default. Throws `bad-request`. */
export function readLimit(text: string | undefined, standard: number, most: number): number {
  if (text === undefined || text === '') return Math.min(standard, most);
  if (!/^\d{1,15}$/.test(text) || Number(text) === 0) {
    throw new GatewayError('bad-request', 'limit must be a whole number of 1 or more.');
  }
  return Math.min(Number(text), most);
}

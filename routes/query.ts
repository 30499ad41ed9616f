import type { FastifyRequest } from 'fastify';
import { GatewayError } from '../src/model/error.ts';

/** Longest URL that is read; what follows a 4 kB cursor and a few hundred ids still fits. */
export const MAX_URL = 16_384;

const MALFORMED = Symbol('malformed');
type Repeated = Record<string, string[]> & { [MALFORMED]?: string };
export type Query = Record<string, string | undefined>;

/** Every value of every key, in order. It can't throw where Fastify calls it: `checkQuery` tells what was wrong. */
export function parseQuery(text: string): Repeated {
  const query: Repeated = Object.create(null);
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

/**
 * Before validation: each key once, and what is empty left out, since it means the same as absent. Throws `uri-too-long` and
 * `bad-request` (TAXII 2.1 section 3.4: repeated fields are malformed).
 */
export async function checkQuery(request: FastifyRequest): Promise<void> {
  if (request.url.length > MAX_URL) throw new GatewayError('uri-too-long', `A URL may have ${MAX_URL} characters.`);
  const query = request.query as Repeated;
  const malformed = query[MALFORMED];
  if (malformed !== undefined) throw new GatewayError('bad-request', malformed);
  const single: Query = Object.create(null);
  for (const [name, values] of Object.entries(query)) {
    if (values.length > 1) {
      const parameter = name.slice(0, 64);
      throw new GatewayError('bad-request', `The parameter ${parameter} is repeated.`, { details: { parameter } });
    }
    if (values[0] !== '') single[name] = values[0];
  }
  request.query = single;
}

/** The query as checkQuery left it and the route's schema let it pass. */
export function readQuery(request: FastifyRequest): Query {
  return request.query as Query;
}

/** A whole number that the schema has checked, cut to `most`; undefined means the default. */
export function readLimit(text: string | undefined, standard: number, most: number): number {
  return Math.min(text === undefined ? standard : Number(text), most);
}

/** The collections' and feeds' common way to refuse a parameter that no pattern can judge. */
export function badParameter(parameter: string, expects: string): GatewayError {
  return new GatewayError('bad-request', `${parameter} must be ${expects}.`, { details: { parameter } });
}

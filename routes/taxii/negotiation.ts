import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../../src/model/error.ts';
import { TAXII_TYPE } from './error-message.ts';

/**
 * Throws `not-acceptable` for an Accept that rules 2.1 out. The field's clients send `application/json`, STIX 2.0 types and
 * nothing at all, so only a TAXII type of another version is refused, unless the collection is strict (TAXII 2.1 section 3.1).
 */
export function negotiate(request: FastifyRequest, strict: boolean): void {
  const accept = request.headers.accept;
  if (accept === undefined || accept.trim() === '') return;
  const ranges = accept.length > MAX_KEPT ? readRanges(accept) : fields.memo(accept);
  const isTaxii = (range: Range): boolean => range.type === 'application/taxii+json';
  if (ranges.some((range) => isTaxii(range) && (range.version === null || range.version === '2.1'))) return;
  const others = ranges.filter((range) => !isTaxii(range));
  if (strict ? others.some(({ type }) => type === '*/*' || type === 'application/*') : others.length > 0) return;
  throw new GatewayError('not-acceptable', `Send Accept: ${TAXII_TYPE}`);
}

const MAX_KEPT = 1024;
/** Clients of a kind send the same with every request. */
const fields = new LRUCache<string, Range[]>({ max: 100, memoMethod: readRanges });

function readRanges(field: string): Range[] {
  return field.split(',').map(readRange);
}

interface Range {
  type: string;
  version: string | null;
}

function readRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const version = parameters.map((parameter) => /^version\s*=\s*"?([^"\s]*)"?$/.exec(parameter)?.[1]).find(Boolean);
  return { type, version: version ?? null };
}

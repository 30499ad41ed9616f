import type { FastifyRequest } from 'fastify';
import { GatewayError } from '../../src/model/error.ts';
import { type Range, readRanges } from '../accept.ts';
import { TAXII_TYPE } from './error-message.ts';

/**
 * Throws `not-acceptable` for an Accept without TAXII 2.1. Clients in use send `application/json`, STIX 2.0 types or nothing, so other types
 * are accepted too, unless the collection is strict (TAXII 2.1 section 3.1).
 */
export function negotiate({ headers }: FastifyRequest, strict: boolean): void {
  const ranges = readRanges(headers.accept);
  if (ranges.length === 0 || ranges.some(isOurVersion)) return;
  const others = ranges.filter((range) => !isTaxii(range));
  if (strict ? others.some(({ name }) => name === '*/*' || name === 'application/*') : others.length > 0) return;
  throw new GatewayError('not-acceptable', `Send Accept: ${TAXII_TYPE}`);
}

function isTaxii({ name }: Range): boolean {
  return name === 'application/taxii+json';
}

/** Without a version, the newest is accepted. */
function isOurVersion(range: Range): boolean {
  return isTaxii(range) && (range.parameters.get('version') || '2.1') === '2.1';
}

import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type GatewayError, httpStatusOf } from '../../src/model/error.ts';
import { asGatewayError, headersOf } from '../failure.ts';

/** The only content type of TAXII 2.1 (section 3.1); the version is part of it. */
export const TAXII_TYPE = 'application/taxii+json;version=2.1';

/** The media type of a collection's objects (TAXII 2.1 section 5.2, `media_types`). */
export const STIX_TYPE = 'application/stix+json;version=2.1';

/** TAXII 2.1 section 3.6.1: http_status is a string, details an object. */
export function errorMessageOf(error: GatewayError): Record<string, unknown> {
  const status = httpStatusOf[error.code];
  return {
    title: STATUS_CODES[status],
    description: error.message,
    error_code: error.code,
    http_status: String(status),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

export function replyWithErrorMessage(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = asGatewayError(thrown, request);
  return reply
    .code(httpStatusOf[error.code])
    .headers(headersOf(error))
    .header('content-type', TAXII_TYPE)
    .send(Buffer.from(JSON.stringify(errorMessageOf(error))));
}

import { randomUUID } from 'node:crypto';
import type { FastifyError, FastifyRequest } from 'fastify';
import { type ErrorCode, GatewayError } from '../src/model/error.ts';

/** Codes for errors of Fastify and its plugins, by status. Any other status below 500 is `bad-request`. */
const codeOfStatus: Record<number, ErrorCode> = {
  400: 'bad-request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  413: 'body-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  429: 'rate-limited',
  503: 'unavailable',
};

/** Codes whose messages are only logged, not shown. */
const hidden = new Set<ErrorCode>(['internal', 'store-failed', 'store-full', 'store-damaged']);

/** Makes a GatewayError of anything thrown. Unexpected errors are logged with an id, and the client is shown only that id. */
export function asGatewayError(error: unknown, request: FastifyRequest): GatewayError {
  if (error instanceof GatewayError) {
    if (hidden.has(error.code)) return hide(error, request);
    return error;
  }
  const { statusCode, message } = error as FastifyError;
  const code = codeOfStatus[statusCode ?? 500] ?? (isCallersFault(statusCode) ? 'bad-request' : undefined);
  return code === undefined ? hide(error, request) : new GatewayError(code, message);
}

function isCallersFault(status = 500): boolean {
  return status >= 400 && status < 500;
}

/** The log has the route, not the path: a path may hold a key. */
function hide(error: unknown, request: FastifyRequest): GatewayError {
  const id = randomUUID();
  request.log.error(
    { err: error, errorId: id, method: request.method, route: request.routeOptions.url ?? 'none' },
    'request failed',
  );
  return new GatewayError('internal', 'Something went wrong here; the log has the cause under this id.', {
    details: { error_id: id },
  });
}

/** Header fields of an error (RFC 9110 sections 11.6.1, 10.2.3, 15.5.6). */
export function headersOf(error: GatewayError): Record<string, string> {
  return {
    ...(error.code === 'unauthenticated' ? { 'www-authenticate': 'Basic realm="Sluice", charset="UTF-8"' } : {}),
    ...(error.retryAfter === undefined ? {} : { 'retry-after': String(error.retryAfter) }),
    ...(error.code === 'method-not-allowed' && error.details?.['allow'] !== undefined
      ? { allow: error.details['allow'] }
      : {}),
  };
}

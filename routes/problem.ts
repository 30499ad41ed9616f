import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type GatewayError, httpStatusOf } from '../src/model/error.ts';
import { asGatewayError, headersOf } from './failure.ts';

/** RFC 9457 problem details. `code` is the closed word of src/model/error.ts. */
export function problemOf(error: GatewayError): Record<string, unknown> {
  const status = httpStatusOf[error.code];
  return {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: error.message,
    code: error.code,
    ...error.details,
  };
}

export function replyWithProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = asGatewayError(thrown, request);
  return reply
    .code(httpStatusOf[error.code])
    .headers(headersOf(error))
    .header('content-type', 'application/problem+json')
    .send(Buffer.from(JSON.stringify(problemOf(error))));
}

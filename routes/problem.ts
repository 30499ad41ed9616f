import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type ErrorCode, type GatewayError, httpStatusOf } from '../src/model/error.ts';
import { asGatewayError, headersOf } from './failure.ts';
import type { Access, ErrorForm } from './operation.ts';

export const PROBLEM_TYPE = 'application/problem+json';

const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'Always about:blank: the status says it.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What was wrong, for a person.' }),
    code: Type.String({ description: 'What was wrong, in one word that stays.' }),
    parameter: Type.Optional(Type.String({ description: 'The parameter that was refused.' })),
    error: Type.Object(
      { code: Type.String(), message: Type.String(), request_id: Type.String() },
      { description: "The same in SOC Defenders' shape." },
    ),
  },
  { title: 'Problem' },
);

export function problemForm(tag: string, access: Access): ErrorForm {
  return { tag, mediaType: PROBLEM_TYPE, schema: problemSchema, access };
}

/** RFC 9457 problem details. `code` is an ErrorCode. */
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
  const body = { ...problemOf(error), error: socDefendersErrorOf(error, request) };
  return reply
    .code(httpStatusOf[error.code])
    .headers(headersOf(error))
    .header('content-type', PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(body)));
}

/** The member `error`, which clients of SOC Defenders' API read. RFC 9457 allows further members. */
function socDefendersErrorOf({ code, message }: GatewayError, { id, headers }: FastifyRequest) {
  const isKeyless = headers.authorization === undefined && headers['x-api-key'] === undefined;
  const words: Partial<Record<ErrorCode, string>> = {
    unauthenticated: isKeyless ? 'missing_api_key' : 'invalid_api_key',
    'rate-limited': 'rate_limit_exceeded',
  };
  return { code: words[code] ?? code.replaceAll('-', '_'), message, request_id: id };
}

import { STATUS_CODES } from 'node:http';
import type { FastifySchema } from 'fastify';
import Type, { type TSchema, type TSchemaOptions } from 'typebox';
import { type ErrorCode, httpStatusOf } from '../src/model/error.ts';
import type { Handler, Operation } from './methods.ts';

/** How an operation is described: what is validated and what openapi.json says are the same words. */
export interface OperationText {
  /** Also the name of its example in openapi/examples/. */
  operationId: string;
  summary: string;
  description?: string;
  query?: TSchema;
  params?: TSchema;
  body?: TSchema;
  /** The good answer; without one there is none. */
  reply?: Reply;
  /** How it can fail besides what `errorsOf` knows. */
  errors?: readonly ErrorCode[];
}

export interface Reply {
  description: string;
  content: Record<string, TSchema>;
  headers?: Record<string, TSchema>;
}

/** Who may call an operation: clients with a key or a certificate, or anyone. */
export type Access = 'clients' | 'anyone';

/** How a protocol words its errors, and who may call its operations. */
export interface ErrorForm {
  tag: string;
  mediaType: string;
  schema: TSchema;
  access: Access;
}

export function operation(text: OperationText, form: ErrorForm, handler: Handler): Operation {
  const { operationId, summary, description, query, params, body, reply } = text;
  const schema: FastifySchema = {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [form.tag],
    ...(query === undefined ? {} : { querystring: query }),
    ...(params === undefined ? {} : { params }),
    ...(body === undefined ? {} : { body }),
    response: {
      ...(reply === undefined ? {} : { 200: replySchema(reply) }),
      ...errorReplies(errorsOf(text, form), form),
    },
  };
  return { schema, handler };
}

function replySchema({ description, content, headers }: Reply) {
  const media = Object.entries(content).map(([type, schema]) => [type, { schema }] as const);
  return { description, ...(headers === undefined ? {} : { headers }), content: Object.fromEntries(media) };
}

/** Every code that an operation may fail with: by who may call it, by what it takes, and what its own text adds. */
function errorsOf({ params, body, errors = [] }: OperationText, { access }: ErrorForm): ErrorCode[] {
  const codes: ErrorCode[] = ['bad-request', 'uri-too-long', 'internal', 'unavailable', ...errors];
  if (access === 'clients') codes.push('unauthenticated', 'not-acceptable', 'rate-limited');
  if (params !== undefined) codes.push('not-found');
  if (body !== undefined) codes.push('body-too-large', 'unsupported-media-type');
  return codes;
}

function errorReplies(codes: readonly ErrorCode[], { mediaType, schema }: ErrorForm) {
  const statuses = [...new Set(codes.map((code) => httpStatusOf[code]))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: STATUS_CODES[status],
        ...(headersOf[status] === undefined ? {} : { headers: headersOf[status] }),
        content: { [mediaType]: { schema } },
      },
    ]),
  );
}

const retryAfter = { 'Retry-After': Type.String({ pattern: '^[0-9]+$', description: 'Seconds.' }) };
const headersOf: Record<number, Record<string, TSchema>> = {
  401: { 'WWW-Authenticate': Type.String({ description: 'Basic; the key is the password.' }) },
  429: retryAfter,
};

type Words = { description: string };

/** Query parameters are text on the wire whatever they mean: `x-document` is what openapi.json shows in its place. */
export function textParameter(options: Words & TSchemaOptions & { maxLength?: number }) {
  return Type.Optional(Type.String({ maxLength: 512, ...options }));
}

export function timeParameter({ description }: Words) {
  return Type.Optional(
    Type.String({ maxLength: 64, description, 'x-document': { type: 'string', format: 'date-time' } }),
  );
}

export function wordParameter(words: readonly string[], { description }: Words) {
  const expects = words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`;
  return Type.Optional(Type.Unsafe<string>({ type: 'string', enum: [...words], description, 'x-expects': expects }));
}

/** An option of a format (outputs/output.ts), as text. */
export function optionParameter(schema: TSchema): TSchema {
  const { type, description = '', enum: words = [], ...bounds } = schema as OptionSchema;
  if (type === 'boolean') return wordParameter(['true', 'false'], { description });
  if (type === 'integer') return numberParameter({ minimum: 0, ...bounds, description });
  return wordParameter(words, { description });
}

interface OptionSchema extends TSchema {
  type?: string;
  description?: string;
  enum?: string[];
  minimum?: 0 | 1;
  maximum?: number;
  default?: number;
}

/** Digits, however many: where they say more than is served, the answer says less. */
export function numberParameter(bounds: { minimum: 0 | 1; maximum?: number; default?: number } & Words) {
  const { description, ...document } = bounds;
  return Type.Optional(
    Type.String({
      pattern: document.minimum === 1 ? '^0*[1-9][0-9]*$' : '^[0-9]+$',
      description,
      'x-expects': `a whole number of ${document.minimum} or more`,
      'x-document': { type: 'integer', ...document },
    }),
  );
}

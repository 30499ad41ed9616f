import { STATUS_CODES } from 'node:http';
import type { FastifyRequest, FastifySchema } from 'fastify';
import Type, { type Static, type TProperties, type TSchema, type TSchemaOptions } from 'typebox';
import { type ErrorCode, GatewayError, httpStatusOf } from '../src/model/error.ts';
import type { Handler, Operation } from './methods.ts';

/** The description of an operation, from which requests are validated and openapi.json is made. */
export interface OperationText {
  /** Also the name of its example in openapi/examples/. */
  operationId: string;
  summary: string;
  description?: string;
  query?: TSchema;
  params?: TSchema;
  body?: TSchema;
  /** The media type of the body; absent: application/json. */
  consumes?: string;
  /** The answer of status 200; absent: there is none. */
  reply?: Reply;
  /** The answer of status 202, of an operation that may go on after it. */
  accepted?: Reply;
  /** Error codes besides those that `errorsOf` adds. */
  errors?: readonly ErrorCode[];
}

export interface Reply {
  description: string;
  content: Record<string, TSchema>;
  headers?: Record<string, TSchema>;
}

/** Who may call an operation: clients with a key or a certificate, operators among them only, or anyone. */
export type Access = 'clients' | 'operators' | 'anyone';

/** What operations of a protocol have in common: the form of errors, and who may call. */
export interface ErrorForm {
  tag: string;
  mediaType: string;
  schema: TSchema;
  access: Access;
}

export function operation(text: OperationText, form: ErrorForm, handler: Handler): Operation {
  const { operationId, summary, description, query, params, body, consumes, reply, accepted } = text;
  const schema: FastifySchema = {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [form.tag],
    ...(query === undefined ? {} : { querystring: query }),
    ...(params === undefined ? {} : { params }),
    ...(body === undefined ? {} : { body }),
    ...(consumes === undefined ? {} : { consumes: [consumes] }),
    response: {
      ...(reply === undefined ? {} : { 200: replySchema(reply) }),
      ...(accepted === undefined ? {} : { 202: replySchema(accepted) }),
      ...errorReplies(errorsOf(text, form), form),
    },
  };
  return { schema, handler };
}

function replySchema({ description, content, headers }: Reply) {
  const media = Object.entries(content).map(([type, schema]) => [type, { schema }] as const);
  return { description, ...(headers === undefined ? {} : { headers }), content: Object.fromEntries(media) };
}

/** All error codes of an operation: by who may call it, by its parameters and body, and those of its own. */
function errorsOf({ params, body, errors = [] }: OperationText, { access }: ErrorForm): ErrorCode[] {
  const codes: ErrorCode[] = ['bad-request', 'uri-too-long', 'internal', 'unavailable', ...errors];
  if (access !== 'anyone') codes.push('unauthenticated', 'not-acceptable', 'rate-limited');
  if (access === 'operators') codes.push('forbidden');
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

/** The path's parameters, which this schema of the operation has checked. */
export function readParams<S extends TSchema>({ params }: FastifyRequest, _schema: S): Static<S> {
  return params as Static<S>;
}

/** The body, which this schema of the operation has checked. */
export function readBody<S extends TSchema>({ body }: FastifyRequest, _schema: S): Static<S> {
  return body as Static<S>;
}

type Words = { description: string };

/** A query parameter. It is validated as text; where `x-document` is given, openapi.json shows that schema instead. */
export function textParameter(options: Words & TSchemaOptions & { maxLength?: number }) {
  return Type.Optional(Type.String({ maxLength: 512, ...options }));
}

export function timeParameter({ description }: Words) {
  return Type.Optional(
    Type.String({ maxLength: 64, description, 'x-document': { type: 'string', format: 'date-time' } }),
  );
}

export function wordParameter<W extends string>(words: readonly W[], { description }: Words) {
  const expects = words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`;
  return Type.Optional(Type.Unsafe<W>({ type: 'string', enum: [...words], description, 'x-expects': expects }));
}

/** One word of a list, or several with commas between. */
export function wordsParameter(words: readonly string[], { description }: Words) {
  const word = `(?:${words.join('|')})`;
  return Type.Optional(
    Type.String({
      maxLength: 512,
      pattern: `^${word}(?:,${word})*$`,
      description,
      'x-expects': `one of ${words.join(', ')}, or several of them with commas between`,
    }),
  );
}

/** The query parameter for an option of a format (outputs/output.ts). */
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

/** A whole number of any length: a larger one than is served is cut. */
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

/** Parameters of several kinds in one query. Throws `internal` where a name would have two meanings. */
export function unitedParameters<A extends TProperties, B extends TProperties>(own: A, others: B): A & B {
  const twice = Object.keys(own).filter((name) => Object.hasOwn(others, name));
  if (twice.length > 0) throw new GatewayError('internal', `The parameter ${twice.join(', ')} has two meanings.`);
  return { ...own, ...others };
}

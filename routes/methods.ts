import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify';
import { GatewayError } from '../src/model/error.ts';

export type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown;

/** A method of a path: its handler, and its schema (operation.ts). */
export interface Operation {
  schema: FastifySchema;
  handler: Handler;
}
export type Operations = Partial<Record<'GET' | 'POST' | 'DELETE', Operation>>;

/**
 * Registers every method that Node parses, so that a path can answer 405 to it. Their bodies are not read: Fastify would answer 415 to a
 * QUERY where 404 or 405 is right.
 */
export function knowAllMethods(app: FastifyInstance): void {
  const served = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  for (const method of METHODS) {
    if (!served.includes(method)) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  }
}

/** Registers a path with its methods: HEAD beside GET, OPTIONS, and 405 with Allow for any other (RFC 9110 section 15.5.6). */
export function addResource(scope: FastifyInstance, path: string, operations: Operations): void {
  for (const [method, operation] of Object.entries(operations)) scope.route({ method, url: path, ...operation });
  answerOtherMethods(scope, path, [...Object.keys(operations), ...(operations.GET === undefined ? [] : ['HEAD'])]);
}

/** Answers OPTIONS, and 405 to every method that is neither that nor served, before a body is read. */
export function answerOtherMethods(scope: FastifyInstance, url: string, served: readonly string[]): void {
  const allowed = [...served, 'OPTIONS'];
  const details = { allow: allowed.join(', ') };
  scope.route({
    method: 'OPTIONS',
    url,
    schema: { hide: true },
    handler: async (_, reply) => reply.code(204).header('allow', details.allow).send(),
  });
  scope.route({
    method: scope.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    schema: { hide: true },
    onRequest: async ({ method }) => {
      throw new GatewayError('method-not-allowed', `${method} is not served here.`, { details });
    },
    handler: async () => undefined,
  });
}

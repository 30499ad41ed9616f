import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify';
import { GatewayError } from '../src/model/error.ts';

export type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown;

/** What a path does under one method, and how it is described (operation.ts). */
export interface Operation {
  schema: FastifySchema;
  handler: Handler;
}
export type Operations = Partial<Record<'GET' | 'POST' | 'DELETE', Operation>>;

/**
 * Makes the router know each method that Node's parser reads: a path can only refuse by name what it knows. None of these has
 * its body read: Fastify would refuse a QUERY for its content type where the answer is that nothing is there.
 */
export function knowAllMethods(app: FastifyInstance): void {
  const served = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  for (const method of METHODS) {
    if (!served.includes(method)) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  }
}

/** A path with all its methods: HEAD as GET, OPTIONS answered, every other one 405 with Allow (RFC 9110 15.5.6). */
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

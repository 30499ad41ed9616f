import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../src/model/error.ts';

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
const known = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type Handlers = Partial<Record<(typeof known)[number], Handler>>;

/** A path with all its methods: HEAD as GET, OPTIONS answered, every other one 405 with Allow (RFC 9110 15.5.6). */
export function addResource(scope: FastifyInstance, path: string, handlers: Handlers): void {
  const allow = [...Object.keys(handlers), ...(handlers.GET === undefined ? [] : ['HEAD']), 'OPTIONS'].join(', ');
  for (const method of known) {
    const handler = handlers[method];
    if (handler !== undefined) scope.route({ method, url: path, handler });
  }
  scope.route({
    method: 'OPTIONS',
    url: path,
    handler: async (_, reply) => reply.code(204).header('allow', allow).send(),
  });
  scope.route({
    method: known.filter((method) => handlers[method] === undefined),
    url: path,
    handler: async ({ method }) => {
      throw new GatewayError('method-not-allowed', `${method} is not served here.`, { details: { allow } });
    },
  });
}

import type { FastifyInstance } from 'fastify';
import { GatewayError } from '../src/model/error.ts';
import type { RouteParts } from './index.ts';
import { addResource } from './methods.ts';

/** /healthz: the process answers. /readyz: the store answers as well. Neither says anything about its content. */
export function addHealth(scope: FastifyInstance, { reader }: RouteParts): void {
  addResource(scope, '/healthz', { GET: async () => ({ status: 'ok' }) });
  addResource(scope, '/readyz', {
    GET: async () => {
      await reader.journals().catch((cause: unknown) => {
        throw new GatewayError('unavailable', 'The store does not answer.', { cause, retryAfter: 5 });
      });
      return { status: 'ready' };
    },
  });
}

import type { FastifyInstance } from 'fastify';
import { GatewayError } from '../src/model/error.ts';
import type { RouteParts } from './index.ts';
import { addResource } from './methods.ts';

const reasons = {
  reconciling: 'Journals are being brought up to the configuration.',
  stopping: 'Sluice is stopping.',
  'writer-ended': 'The writing thread ended.',
  store: 'The store does not answer.',
} as const;

/**
 * /healthz: the process answers. /readyz: it can serve; else 503 with `reason`, one of the words above. Neither says anything
 * about its content, and both are answered by a process that is out of breath.
 */
export function addHealth(scope: FastifyInstance, { reader, hindrance }: RouteParts): void {
  addResource(scope, '/healthz', {
    GET: async (_, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }),
  });
  addResource(scope, '/readyz', {
    GET: async (_, reply) => {
      reply.header('cache-control', 'no-store');
      const hindered = hindrance();
      if (hindered !== null) throw unready(hindered);
      await reader.journals().catch((cause: unknown) => {
        throw unready('store', cause);
      });
      return { status: 'ready' };
    },
  });
}

function unready(reason: keyof typeof reasons, cause?: unknown): GatewayError {
  return new GatewayError('unavailable', reasons[reason], { cause, retryAfter: 5, details: { reason } });
}

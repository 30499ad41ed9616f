import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { GatewayError } from '../src/model/error.ts';
import type { RouteContext } from './index.ts';
import { addResource } from './methods.ts';
import { type OperationText, operation } from './operation.ts';
import { problemForm } from './problem.ts';

const openForm = problemForm('Health', ['bad-request', 'uri-too-long', 'internal', 'unavailable']);

const text = (operationId: string, summary: string, status: string): OperationText => ({
  operationId,
  summary,
  reply: { description: 'Yes.', content: { 'application/json': Type.Object({ status: Type.Literal(status) }) } },
});

/** /healthz: the process answers. /readyz: the store answers as well. Neither says anything about its content. */
export function addHealth(scope: FastifyInstance, { reader }: RouteContext): void {
  addResource(scope, '/healthz', {
    GET: operation(text('getHealth', 'Does the process answer?', 'ok'), openForm, async () => ({ status: 'ok' })),
  });
  addResource(scope, '/readyz', {
    GET: operation(text('getReadiness', 'Does the store answer as well?', 'ready'), openForm, async () => {
      await reader.journals().catch((cause: unknown) => {
        throw new GatewayError('unavailable', 'The store does not answer.', { cause, retryAfter: 5 });
      });
      return { status: 'ready' };
    }),
  });
}

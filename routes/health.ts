import Type from 'typebox';
import { GatewayError } from '../src/model/error.ts';
import type { Operation } from './methods.ts';
import { type OperationText, operation } from './operation.ts';
import type { RouteContext } from './parts.ts';
import { problemForm } from './problem.ts';

const form = problemForm('Health', 'anyone');

const text = (operationId: string, summary: string, status: string): OperationText => ({
  operationId,
  summary,
  reply: { description: 'Yes.', content: { 'application/json': Type.Object({ status: Type.Literal(status) }) } },
});

const reasons = {
  reconciling: 'Journals are being brought up to the configuration.',
  stopping: 'Sluice is stopping.',
  'writer-ended': 'The writing thread ended.',
  'store-damaged': 'The file of the store is damaged.',
  store: 'The store does not answer.',
} as const;

/** `GET /healthz`: the process answers. Like /readyz it is open to anyone, also when the process is overloaded. */
export function getHealth(): Operation {
  return operation(text('getHealth', 'Does the process answer?', 'ok'), form, async (_, reply) =>
    reply.header('cache-control', 'no-store').send({ status: 'ok' }),
  );
}

/** `GET /readyz`: the gateway can serve; else 503 with `reason`, one of the words above. */
export function getReadiness({ reader, unreadyReason }: RouteContext): Operation {
  return operation(text('getReadiness', 'Can it serve?', 'ready'), form, async (_, reply) => {
    reply.header('cache-control', 'no-store');
    const hindered = unreadyReason();
    if (hindered !== null) throw unready(hindered);
    await reader.journals().catch((cause: unknown) => {
      throw unready('store', cause);
    });
    // With a full disk everything stored is still served, so no load balancer should take the gateway out.
    return reader.fault() === 'store-full' ? { status: 'ready', degraded: 'store-full' } : { status: 'ready' };
  });
}

function unready(reason: keyof typeof reasons, cause?: unknown): GatewayError {
  return new GatewayError('unavailable', reasons[reason], { cause, retryAfter: 5, details: { reason } });
}

import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import { GatewayError } from '../src/model/error.ts';

/** What keeps the gateway from serving; null when nothing does. */
export type Hindrance = 'reconciling' | 'stopping' | 'writer-ended' | 'store-damaged';

export interface Pressure {
  /** Mean milliseconds of a second that the event loop is late; 0 for no bound, as below. */
  eventLoopDelay: number;
  heapBytes: number;
}

/** Seconds after which a reader may try again. */
const SOON = 5;

/**
 * Makes a scope answer 503 while it can't answer right or well: journals that don't satisfy their policy yet would show what
 * must not be read any more, and a process out of breath serves nobody by taking on more.
 */
export async function refuseWhenHindered(
  scope: FastifyInstance,
  { hindrance, pressure }: { hindrance(): Hindrance | null; pressure: Pressure },
): Promise<void> {
  scope.addHook('onRequest', (_request, _reply, done) => {
    if (hindrance() !== 'reconciling') return done();
    const told = 'Sluice is starting: journals are brought up to the configuration.';
    done(new GatewayError('unavailable', told, { retryAfter: SOON }));
  });
  await scope.register(underPressure, {
    maxEventLoopDelay: pressure.eventLoopDelay,
    maxHeapUsedBytes: pressure.heapBytes,
    pressureHandler: async () => {
      throw new GatewayError('unavailable', 'Sluice has more to do than it can; try again soon.', { retryAfter: SOON });
    },
  });
}

import type { FastifyInstance } from 'fastify';
import type { Clock } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';
import { measurePressure, type Pressure } from './pressure.ts';

/** Why the gateway can't serve. */
export type UnreadyReason = 'reconciling' | 'stopping' | 'writer-ended' | 'store-damaged';

/** Retry-After, in seconds. */
const RETRY_AFTER = 5;

/**
 * Makes a scope answer 503 while journals are brought up to the configuration, since they may hold what must not be read any more,
 * and while the process is overloaded.
 */
export function refuseWhileUnready(
  scope: FastifyInstance,
  { clock, unreadyReason, pressure }: { clock: Clock; unreadyReason(): UnreadyReason | null; pressure: Pressure },
): void {
  const gauge = measurePressure(clock, pressure);
  scope.addHook('onClose', async () => gauge.close());
  scope.addHook('onRequest', (_request, _reply, done) => {
    if (unreadyReason() === 'reconciling')
      done(unavailable('Sluice is starting: journals are brought up to the configuration.'));
    else if (gauge.isHigh()) done(unavailable('Sluice has more to do than it can; try again soon.'));
    else done();
  });
}

/** 503 with Retry-After. */
export function unavailable(message: string): GatewayError {
  return new GatewayError('unavailable', message, { retryAfter: RETRY_AFTER });
}

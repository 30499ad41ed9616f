import type { FastifyInstance } from 'fastify';
import type { Clock } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';
import { measurePressure, type Pressure } from './pressure.ts';

/** What keeps the gateway from serving; null when nothing does. */
export type Hindrance = 'reconciling' | 'stopping' | 'writer-ended' | 'store-damaged';

/** Seconds after which a reader may try again. */
const SOON = 5;

/**
 * Makes a scope answer 503 while it can't answer right or well: journals that don't satisfy their policy yet would show what
 * must not be read any more, and a process out of breath serves nobody by taking on more.
 */
export function refuseWhenHindered(
  scope: FastifyInstance,
  { clock, hindrance, pressure }: { clock: Clock; hindrance(): Hindrance | null; pressure: Pressure },
): void {
  const gauge = measurePressure(clock, pressure);
  scope.addHook('onClose', async () => gauge.close());
  scope.addHook('onRequest', (_request, _reply, done) => {
    if (hindrance() === 'reconciling')
      done(unavailable('Sluice is starting: journals are brought up to the configuration.'));
    else if (gauge.isHigh()) done(unavailable('Sluice has more to do than it can; try again soon.'));
    else done();
  });
}

/** 503 with Retry-After. */
export function unavailable(told: string): GatewayError {
  return new GatewayError('unavailable', told, { retryAfter: SOON });
}

import type { FastifyInstance } from 'fastify';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND, type Micros, systemClock } from '../src/model/clock.ts';

/** Refusals that are sent at once, and how many a second after these. */
const BURST = 200;
const PER_SECOND = 200;
/** None waits longer: its connection stays open meanwhile. */
const MAX_DELAY: Micros = 5 * MICROS_PER_SECOND;

/**
 * Delays answers of 429 and 503 when there are many. Clients that ask again at once, on hundreds of connections, would otherwise take
 * the processor from all others. Processor time is what is shared, so the clock is the machine's.
 */
export function paceRefusals(scope: FastifyInstance, clock: Clock = systemClock): void {
  const closed = new AbortController();
  scope.addHook('onClose', async () => closed.abort());
  /** When the next refusal would be sent if there were no burst. */
  let due: Micros = 0;
  // No promise on the way of any other answer.
  scope.addHook('onSend', (_request, { statusCode }, payload, done) => {
    if (statusCode !== 429 && statusCode !== 503) return done(null, payload);
    const now = clock.now();
    // The upper bound holds also when the clock was set back.
    due = Math.min(Math.max(due, now) + MICROS_PER_SECOND / PER_SECOND, now + MAX_DELAY);
    const wait = due - now - (BURST / PER_SECOND) * MICROS_PER_SECOND;
    const send = (): void => done(null, payload);
    if (wait <= 0) return send();
    clock.sleep(wait / MICROS_PER_MS, closed.signal).then(send, send);
  });
}

import type { FastifyInstance } from 'fastify';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND, type Micros, systemClock } from '../src/model/clock.ts';

/** Refusals that are told at once, and how many a second after these. */
const AT_ONCE = 200;
const PER_SECOND = 200;
/** None waits longer: its connection is held meanwhile. */
const MOST = 5 * MICROS_PER_SECOND;

/**
 * Makes 429 and 503 wait where there are many. Who asks again as soon as it is refused, on hundreds of connections, would else take
 * the processor from the answers that others wait for. It is the processor's time that counts, so the clock is the machine's.
 */
export function paceRefusals(scope: FastifyInstance, clock: Clock = systemClock): void {
  const closed = new AbortController();
  scope.addHook('onClose', async () => closed.abort());
  /** When the next refusal would be told if none were told at once. */
  let due: Micros = 0;
  scope.addHook('onSend', async (_request, { statusCode }, payload) => {
    if (statusCode !== 429 && statusCode !== 503) return payload;
    const now = clock.now();
    // Also where the clock was set back, what waits is never more than what may wait.
    due = Math.min(Math.max(due, now) + MICROS_PER_SECOND / PER_SECOND, now + MOST);
    const wait = due - now - (AT_ONCE / PER_SECOND) * MICROS_PER_SECOND;
    if (wait > 0) await clock.sleep(wait / MICROS_PER_MS, closed.signal).catch(() => undefined);
    return payload;
  });
}

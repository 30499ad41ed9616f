/** Integer microseconds: a point in time since 1970-01-01T00:00:00Z (below 2^53 until the year 2255), or a length of time. */
export type Micros = number & { readonly unit?: 'us' };
/** Milliseconds, a length of time: what configuration and timers count in. Neither type is taken for the other. */
export type Millis = number & { readonly unit?: 'ms' };

export const MICROS_PER_MS = 1000;
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND;

/** The only source of time: everything that asks what time it is, or waits, is given one. */
export interface Clock {
  now(): Micros;
  /** Resolves after `ms` milliseconds; rejects with `signal.reason` when aborted first. */
  sleep(ms: Millis, signal?: AbortSignal): Promise<void>;
}

/** Longest delay a Node timer takes (2^31 - 1 ms); a longer one fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Microseconds come from a clock that stands still while the machine sleeps, and knows nothing of one that is set. */
let origin = performance.timeOrigin;
/** So far, in milliseconds, it may be from what the machine says. */
const APART_MS = 50;

export const systemClock: Clock = {
  now() {
    const elapsed = performance.now();
    const wall = Date.now();
    if (Math.abs(origin + elapsed - wall) > APART_MS) origin = wall - elapsed;
    return Math.round((origin + elapsed) * MICROS_PER_MS);
  },
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(Math.max(0, ms), LONGEST_TIMER_MS),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};

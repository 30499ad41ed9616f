/** Integer microseconds: a point in time since 1970-01-01T00:00:00Z (below 2^53 until the year 2255), or a length of time. */
export type Micros = number & { readonly unit?: 'us' };
/** Milliseconds, a length of time: the unit of the configuration and of timers. The compiler keeps the two units apart. */
export type Millis = number & { readonly unit?: 'ms' };

export const MICROS_PER_MS = 1000;
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND;

/** The only source of time: code that reads the time or waits takes a Clock. */
export interface Clock {
  now(): Micros;
  /** Resolves after `ms` milliseconds; rejects with `signal.reason` when aborted first. */
  sleep(ms: Millis, signal?: AbortSignal): Promise<void>;
}

/** Longest delay of a Node timer (2^31 - 1 ms). A longer one would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** What is added to performance.now(), which has microseconds, but stops while the machine sleeps and ignores a clock that is set. */
let origin = performance.timeOrigin;
/** When it differs more than this from Date.now(), `origin` is set again. */
const MAX_DRIFT: Millis = 50;

export const systemClock: Clock = {
  now() {
    const elapsed = performance.now();
    const wall = Date.now();
    if (Math.abs(origin + elapsed - wall) > MAX_DRIFT) origin = wall - elapsed;
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

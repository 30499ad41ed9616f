import { type Clock, MICROS_PER_MS, type Micros } from '../../src/model/clock.ts';

export interface ScriptedClock extends Clock {
  /** Moves time on and wakes, in order, every sleeper whose time has come. */
  advance(ms: number): Promise<void>;
  /** Sets the clock anywhere, backwards as well; wakes nobody. */
  set(micros: Micros): void;
  /** How many are asleep. */
  sleepers(): number;
}

/** A clock that stands still until it is told to move. With `auto`, a sleep advances it at once instead of waiting. */
export function scriptedClock(start: Micros, options: { auto?: boolean } = {}): ScriptedClock {
  let now = start;
  let asleep: { at: Micros; wake: () => void }[] = [];
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        if (options.auto) {
          now += Math.max(0, Math.ceil(ms * MICROS_PER_MS));
          return setImmediate(resolve);
        }
        const sleeper = { at: now + Math.max(0, ms) * MICROS_PER_MS, wake: () => resolve() };
        asleep.push(sleeper);
        signal?.addEventListener(
          'abort',
          () => {
            asleep = asleep.filter((other) => other !== sleeper);
            reject(signal.reason);
          },
          { once: true },
        );
      }),
    async advance(ms) {
      const target = now + ms * MICROS_PER_MS;
      for (;;) {
        const next = asleep.filter((s) => s.at <= target).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        asleep = asleep.filter((s) => s !== next);
        now = Math.max(now, next.at);
        next.wake();
        await new Promise((resolve) => setImmediate(resolve));
      }
      now = target;
    },
    set(micros) {
      now = micros;
    },
    sleepers: () => asleep.length,
  };
}

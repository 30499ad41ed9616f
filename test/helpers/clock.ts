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

export interface SteppedClock extends Clock {
  /** The time as it really is: only ever forward, by `wake`. */
  truth(): Micros;
  /** Sets what `now` says against the truth; who sleeps sleeps on. */
  setOffset(micros: Micros): void;
  offset(): Micros;
  sleepers(): number;
  /** Moves on to the first who wakes, or to `end` when that is sooner. False: that was the end. */
  wake(end: Micros): boolean;
}

/** A wall clock that can be wrong, over a time that can't: for days that pass in seconds. */
export function steppedClock(start: Micros): SteppedClock {
  let truth = start;
  let offset = 0;
  let asleep: { at: Micros; wake: () => void }[] = [];
  return {
    now: () => truth + offset,
    truth: () => truth,
    offset: () => offset,
    setOffset: (micros) => {
      offset = micros;
    },
    sleepers: () => asleep.length,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const sleeper = { at: truth + Math.max(0, Math.ceil(ms * MICROS_PER_MS)), wake: resolve };
        asleep.push(sleeper);
        const onAbort = (): void => {
          asleep = asleep.filter((other) => other !== sleeper);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        sleeper.wake = () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        };
      }),
    wake(end) {
      const next = asleep.reduce<(typeof asleep)[number] | null>((a, b) => (a === null || b.at < a.at ? b : a), null);
      if (next === null || next.at > end) {
        truth = end;
        return false;
      }
      asleep = asleep.filter((other) => other !== next);
      truth = Math.max(truth, next.at);
      next.wake();
      return true;
    },
  };
}

/** Some tens of seconds: what has not come to rest by then never will. */
const MOST_TURNS = 3_000_000;

/** Waits until `loops` are asleep and stay so: whatever was going on, on the network or in the store, is done. */
export async function settled(clock: SteppedClock, loops: number): Promise<void> {
  for (let quiet = 0, turns = 0; quiet < 3; quiet += 1, turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (clock.sleepers() < loops) quiet = -1;
    if (turns > MOST_TURNS) throw new Error(`only ${clock.sleepers()} of ${loops} loops came to rest`);
  }
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
}

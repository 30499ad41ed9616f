import fc from 'fast-check';
import t from 'tap';
import type { AccountLimits } from '../../src/feeds/feed.ts';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import type { AccountState } from '../../src/model/state.ts';
import { advance, applyRateLimit, nextRequestAt, spend, usedOf } from '../../src/upstream/budget.ts';
import { START } from '../helpers/store.ts';

const MINUTE = 60 * MICROS_PER_SECOND;
const fresh: AccountState = { account: 'a', lastRequestAt: null, blockedUntil: null, windows: {}, requests: 0 };
/** What a store does between two looks. */
const restart = (state: AccountState): AccountState => JSON.parse(JSON.stringify(state));

interface Sent {
  /** By a clock that nobody sets. */
  at: Micros;
  weight: number;
}

/** The most that any stretch of the window's length holds, wherever it begins. */
function fullest(sent: readonly Sent[], seconds: number): number {
  let most = 0;
  let sum = 0;
  let first = 0;
  for (const { at, weight } of sent) {
    sum += weight;
    for (; (sent[first]?.at ?? at) <= at - seconds * MICROS_PER_SECOND; first += 1) sum -= sent[first]?.weight ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

interface Step {
  /** Waited before asking, in microseconds. */
  pause: number;
  weight: number;
  /** Our clock is set by so much first. */
  set: number;
}

/** Asks for every step's turn as the runner does, keeping the state as a store would, and notes when it was sent. */
function run(limits: AccountLimits, steps: readonly Step[]): { sent: Sent[]; longestWait: Micros } {
  let state = fresh;
  let truth = START;
  let offset = 0;
  let longestWait = 0;
  const sent: Sent[] = [];
  for (const { pause, weight, set } of steps) {
    truth += pause;
    offset += set;
    const asked = truth;
    for (;;) {
      const now = truth + offset;
      state = restart(state);
      const at = nextRequestAt(state, limits, weight, now);
      if (at <= now) break;
      state = advance(state, now);
      truth += at - now;
    }
    longestWait = Math.max(longestWait, truth - asked);
    state = spend(state, limits, weight, truth + offset);
    sent.push({ at: truth, weight });
  }
  return { sent, longestWait };
}

const limitsArbitrary = fc.record({
  minInterval: fc.constantFrom(0, 0, 250, 6000),
  windows: fc.constantFrom<AccountLimits['windows']>(
    [{ seconds: 60, requests: 10 }],
    [{ seconds: 1, requests: 1 }],
    [
      { seconds: 60, requests: 10 },
      { seconds: 3600, requests: 40 },
    ],
    [
      { seconds: 30, requests: 5 },
      { seconds: 86_400, requests: 60 },
    ],
  ),
});
const stepsArbitrary = (set: fc.Arbitrary<number>) =>
  fc.array(
    fc.record({
      pause: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 0, max: 5 * MICROS_PER_SECOND }),
        fc.integer({ min: 0, max: 2 * 3600 * MICROS_PER_SECOND }),
      ),
      weight: fc.constantFrom(1, 1, 1, 1, 2.5, 4),
      set,
    }),
    { minLength: 20, maxLength: 150 },
  );

/** Weighted sums are binary fractions here, so nothing is lost in them. */
function requireWithin(limits: AccountLimits, sent: readonly Sent[], maxWeight: number): void {
  for (const { seconds, requests } of limits.windows) {
    // A weight above the whole allowance is let through alone, when the window is empty.
    const most = Math.max(requests, maxWeight);
    const held = fullest(sent, seconds);
    if (held > most) throw new Error(`${held} in ${seconds} s, where ${requests} are allowed`);
  }
  sent.forEach(({ at }, i) => {
    const before = sent[i - 1]?.at ?? Number.NEGATIVE_INFINITY;
    if (at - before < limits.minInterval * MICROS_PER_MS) throw new Error('two requests without the interval');
  });
}

t.test('no stretch of a window’s length, wherever it begins, ever holds more than allowed', async (t) => {
  fc.assert(
    fc.property(limitsArbitrary, stepsArbitrary(fc.constant(0)), (limits, steps) => {
      requireWithin(limits, run(limits, steps).sent, 4);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

t.test('a clock that is set back gives nothing back, and no wait is longer than the window', async (t) => {
  const back = fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -3 * MICROS_PER_DAY, max: -1 }) },
  );
  fc.assert(
    fc.property(limitsArbitrary, stepsArbitrary(back), (limits, steps) => {
      const { sent, longestWait } = run(limits, steps);
      requireWithin(limits, sent, 4);
      const longest = Math.max(...limits.windows.map(({ seconds }) => seconds)) * MICROS_PER_SECOND;
      if (longestWait > longest * 1.05 + 6 * MICROS_PER_SECOND) throw new Error(`waited ${longestWait} us`);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

t.test('a clock that is set forward lets pass what it says has passed, and no more', async (t) => {
  // By our own clock, which is all that is known: truth plus every step.
  const forward = fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: MICROS_PER_DAY }) },
  );
  fc.assert(
    fc.property(limitsArbitrary, stepsArbitrary(forward), (limits, steps) => {
      const asPauses = steps.map(({ pause, weight, set }) => ({ pause: pause + set, weight, set: 0 }));
      const times = run(limits, asPauses).sent.map(({ at }) => at);
      requireWithin(limits, run(limits, asPauses).sent, 4);
      // The steps change when things happen by the true clock, never what is let through by ours.
      let offset = 0;
      run(limits, steps).sent.forEach(({ at }, i) => {
        offset += steps[i]?.set ?? 0;
        if (at + offset !== times[i]) throw new Error('the step was not taken as time');
      });
    }),
    { numRuns: 50 },
  );
  t.pass();
});

t.test('a caller that asks without pause gets more than 95 % of what a window allows', async (t) => {
  for (const [seconds, requests] of [
    [60, 10],
    [86_400, 1000],
    [30, 50],
  ] as const) {
    const limits = { minInterval: 0, windows: [{ seconds, requests }] };
    const { sent } = run(
      limits,
      Array.from({ length: requests * 20 }, () => ({ pause: 0, weight: 1, set: 0 })),
    );
    const windows = ((sent.at(-1)?.at ?? START) - START) / (seconds * MICROS_PER_SECOND);
    t.ok(19 / windows > 0.95, `${requests} in ${seconds} s: ${(19 / windows).toFixed(3)}`);
  }
});

t.test('a weight above the whole allowance waits for an empty window instead of for ever', async (t) => {
  const limits = { minInterval: 0, windows: [{ seconds: 60, requests: 2 }] };
  const step = { pause: 0, weight: 5, set: 0 };
  const { sent } = run(limits, [{ ...step, weight: 1 }, step, step]);
  t.ok((sent[1]?.at ?? 0) - (sent[0]?.at ?? 0) >= MINUTE);
  t.ok((sent[2]?.at ?? 0) - (sent[1]?.at ?? 0) >= MINUTE);
});

t.test('rate-limit headers block the account for as long as they ask for', async (t) => {
  const unix = Math.floor(START / MICROS_PER_SECOND);
  const date = (micros: Micros): string => new Date(micros / 1000).toUTCString();
  const table: [string, number, Record<string, string>, number | null][] = [
    ['nothing on a success', 200, {}, null],
    ['a rest that is left', 200, { 'x-ratelimit-remaining': '3', 'x-ratelimit-reset': `${unix + 50}` }, null],
    ['nothing left', 200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${unix + 50}` }, 50],
    ['nothing left, in seconds', 200, { 'ratelimit-remaining': '0', 'ratelimit-reset': '50' }, 50],
    ['nothing left, no reset', 200, { 'x-ratelimit-remaining': '0' }, null],
    ['429 with seconds', 429, { 'retry-after': '120' }, 120],
    ['429 with a date', 429, { 'retry-after': date(START + 90 * MICROS_PER_SECOND) }, 90],
    [
      '429 with a date by their clock',
      429,
      { date: date(START + MINUTE), 'retry-after': date(START + 2 * MINUTE) },
      60,
    ],
    ['429 with a date that has passed', 429, { 'retry-after': date(START - MINUTE) }, 1],
    ['429 with Reset', 429, { 'x-ratelimit-reset': `${unix + 30}` }, 30],
    ['429 with Reset by their clock', 429, { date: date(START - MINUTE), 'x-ratelimit-reset': `${unix - 30}` }, 30],
    ['429 with a Reset that has passed', 429, { 'x-ratelimit-reset': `${unix - 30}` }, 60],
    ['Retry-After before Reset', 429, { 'retry-after': '5', 'x-ratelimit-reset': `${unix + 500}` }, 5],
    ['429 without a hint', 429, {}, 60],
    // lemon24/reader issue 376: a publisher that blocks who asks again within the max-age of its refusal.
    ['429 that says only how long it may be kept', 429, { 'cache-control': 'max-age=7200' }, 7200],
    ['429 that may be kept for days', 429, { 'cache-control': 'max-age=172800' }, 86_400],
    ['Retry-After before max-age', 429, { 'retry-after': '5', 'cache-control': 'max-age=7200' }, 5],
    ['429 with nonsense', 429, { 'retry-after': 'soon', 'x-ratelimit-reset': 'NaN' }, 60],
    ['429 with zero', 429, { 'retry-after': '0' }, 1],
    ['429 for ever', 429, { 'retry-after': '999999999' }, 86_400],
    ['503 with a hint', 503, { 'retry-after': '30' }, 30],
    ['503 without one', 503, {}, null],
    ['a hint on a success', 200, { 'retry-after': '30' }, null],
  ];
  for (const [name, status, headers, seconds] of table) {
    const limited = applyRateLimit(fresh, status, headers, START);
    if (seconds === null) t.equal(limited, fresh, name);
    else t.equal(limited.blockedUntil, START + seconds * MICROS_PER_SECOND, name);
  }
  const blocked = { ...fresh, blockedUntil: START + 10 * MINUTE };
  t.equal(
    applyRateLimit(blocked, 429, { 'retry-after': '5' }, START).blockedUntil,
    START + 10 * MINUTE,
    'never sooner',
  );
});

t.test('a block counts for every weight, and a clock that is set back does not make it longer', async (t) => {
  const limits = { minInterval: 0, windows: [] };
  const blocked = applyRateLimit(fresh, 429, { 'retry-after': '60' }, START);
  t.equal(nextRequestAt(blocked, limits, 1, START), START + MINUTE);
  t.ok(nextRequestAt(blocked, limits, 1, START + MINUTE) <= START + MINUTE);
  const past = START - 9 * MICROS_PER_DAY;
  t.equal(nextRequestAt(blocked, limits, 1, past), past + MINUTE);
  const advanced = restart(advance(blocked, past));
  t.ok(
    nextRequestAt(advanced, limits, 1, past + MINUTE) <= past + MINUTE,
    'once it was seen, the wait does not begin anew',
  );
  const again = applyRateLimit(advanced, 429, { 'retry-after': '10' }, past);
  t.equal(again.blockedUntil, past + MINUTE, 'the longer one counts');
  const { blockedAt: _, ...old } = blocked;
  t.equal(
    nextRequestAt(old, limits, 1, past),
    past + MICROS_PER_DAY,
    'of one whose time is not known a day at most is waited',
  );
});

t.test('a stored window without slots still counts', async (t) => {
  const limits = { minInterval: 0, windows: [{ seconds: 60, requests: 3 }] };
  const old: AccountState = { ...fresh, windows: { 60: { startedAt: START, used: 3 } } };
  t.ok(nextRequestAt(old, limits, 1, START + MICROS_PER_SECOND) > START + MINUTE);
  t.equal(usedOf(old, 60, START + MICROS_PER_SECOND), 3);
  t.equal(usedOf(old, 60, START + 3 * MINUTE), 0);
});

t.test('a window that is no longer configured is forgotten, not obeyed', async (t) => {
  const daily = { minInterval: 0, windows: [{ seconds: 86_400, requests: 1 }] };
  const spent = spend(fresh, daily, 1, START);
  t.ok(nextRequestAt(spent, { minInterval: 0, windows: [{ seconds: 60, requests: 1 }] }, 1, START) <= START);
  t.ok(nextRequestAt(spent, daily, 1, START) > START + MICROS_PER_DAY - 1);
});

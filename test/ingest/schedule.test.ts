import t, { type Test } from 'tap';
import type { ConfiguredFeed } from '../../src/feeds/feed.ts';
import { runSchedule } from '../../src/ingest/schedule.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import type { FeedState } from '../../src/model/state.ts';
import { settled, steppedClock } from '../helpers/clock.ts';
import { START } from '../helpers/store.ts';

const MINUTE = 60 * MICROS_PER_SECOND;
const EVERY = 15 * MINUTE;

type Times = Pick<FeedState, 'nextPollAt' | 'attemptedAt'>;

/** A schedule of one feed, whose polls do nothing but move its time, as real ones do. */
function open(t: Test, state: Times, poll?: (state: Times) => void) {
  const clock = steppedClock(START);
  const polls: number[] = [];
  const errors: unknown[] = [];
  let ticks = 0;
  const stop = new AbortController();
  const feed = { definition: { name: 'house', every: EVERY / 1000 } } as ConfiguredFeed;
  const schedule = runSchedule({
    clock,
    store: { feedState: async () => state as FeedState },
    feeds: [feed],
    async poll() {
      polls.push((clock.truth() - START) / MINUTE);
      state.attemptedAt = clock.now();
      state.nextPollAt = clock.now() + EVERY;
      poll?.(state);
      return null as never;
    },
    async tick() {
      ticks += 1;
    },
    report: (error) => void errors.push(error),
    signal: stop.signal,
  });
  t.teardown(async () => {
    stop.abort(new Error('the end'));
    await schedule;
  });
  const runUntil = async (minutes: number): Promise<void> => {
    do await settled(clock, 2);
    while (clock.wake(START + minutes * MINUTE));
    await settled(clock, 2);
  };
  return { clock, polls, errors, ticks: () => ticks, runUntil, stop, schedule };
}

t.test('a feed that was never polled is polled at once, then at its pace; time is ticked every minute', async (t) => {
  const { polls, ticks, runUntil } = open(t, { nextPollAt: null, attemptedAt: null });
  await runUntil(46);
  t.strictSame(polls, [0, 15, 30, 45]);
  t.equal(ticks(), 47);
});

t.test('a restart never polls early', async (t) => {
  const { polls, runUntil } = open(t, { attemptedAt: START - 5 * MINUTE, nextPollAt: START + 10 * MINUTE });
  await runUntil(9.9);
  t.strictSame(polls, []);
  await runUntil(11);
  t.strictSame(polls, [10]);
});

t.test('a feed that came due while no process ran is polled once', async (t) => {
  const { polls, runUntil } = open(t, { attemptedAt: START - 90 * MINUTE, nextPollAt: START - 75 * MINUTE });
  await runUntil(10);
  t.strictSame(polls, [0]);
});

t.test('a wait that an error asked for is kept, though it is longer than the pace', async (t) => {
  const { polls, runUntil } = open(t, { attemptedAt: START, nextPollAt: START + 120 * MINUTE });
  await runUntil(119);
  t.strictSame(polls, []);
  await runUntil(121);
  t.strictSame(polls, [120]);
});

t.test('a clock set back silences a feed for no longer than was decided', async (t) => {
  const before = open(t, { attemptedAt: START + MICROS_PER_DAY, nextPollAt: START + MICROS_PER_DAY + EVERY });
  await before.runUntil(40);
  t.strictSame(before.polls, [15, 30], 'before the start');
  const during = open(t, { nextPollAt: null, attemptedAt: null });
  await during.runUntil(1);
  during.clock.setOffset(-MICROS_PER_DAY);
  await during.runUntil(40);
  t.strictSame(during.polls, [0, 30], 'while it waits: one turn late at most, then at its pace');
});

t.test('somebody else’s poll meanwhile counts as the schedule’s', async (t) => {
  const state: Times = { attemptedAt: START, nextPollAt: START + 10 * MINUTE };
  const { polls, runUntil } = open(t, state);
  await runUntil(5);
  Object.assign(state, { attemptedAt: START + 5 * MINUTE, nextPollAt: START + 20 * MINUTE });
  await runUntil(25);
  t.strictSame(polls, [20]);
});

t.test('somebody else’s poll counts too while a clock that was set back is waited for', async (t) => {
  const state: Times = { attemptedAt: START + MICROS_PER_DAY, nextPollAt: START + MICROS_PER_DAY + EVERY };
  const { polls, runUntil } = open(t, state);
  await runUntil(5);
  Object.assign(state, { attemptedAt: START + 5 * MINUTE, nextPollAt: START + 20 * MINUTE });
  await runUntil(25);
  t.strictSame(polls, [20]);
});

t.test('a pace of less than a minute is kept', async (t) => {
  const { polls, runUntil } = open(t, { nextPollAt: null, attemptedAt: null }, (state) => {
    state.nextPollAt = (state.attemptedAt ?? 0) + MINUTE / 2;
  });
  await runUntil(2);
  t.strictSame(polls, [0, 0.5, 1, 1.5, 2]);
});

t.test('an unforeseen failure is reported and tried again after a minute; an abort ends everything', async (t) => {
  let times = 0;
  const { polls, errors, runUntil, stop, schedule } = open(t, { nextPollAt: null, attemptedAt: null }, (state) => {
    times += 1;
    if (times > 2) return;
    state.nextPollAt = null;
    throw new Error(`unforeseen ${times}`);
  });
  await runUntil(5);
  t.strictSame(polls, [0, 1, 2]);
  t.match(errors, [{ message: 'unforeseen 1' }, { message: 'unforeseen 2' }]);
  stop.abort(new Error('the end'));
  await schedule;
  t.equal(errors.length, 2, 'an abort is no error');
});

t.test('a poll of which nothing could be kept, as on a full disk, is not made again and again', async (t) => {
  const kept: Times = { attemptedAt: START - 20 * MINUTE, nextPollAt: START - 5 * MINUTE };
  let isFull = true;
  const { polls, runUntil } = open(t, { ...kept }, (state) => void (isFull && Object.assign(state, kept)));
  await runUntil(3);
  t.strictSame(polls, [0, 1, 2, 3]);
  isFull = false;
  await runUntil(30);
  t.strictSame(polls, [0, 1, 2, 3, 4, 19], 'at its pace once it can be');
});

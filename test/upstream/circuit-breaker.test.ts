import t from 'tap';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import type { AccountState } from '../../src/model/state.ts';
import {
  advanceBreaker,
  beginTrial,
  closesAt,
  recordFailure,
  recordSuccess,
} from '../../src/upstream/circuit-breaker.ts';
import { START } from '../helpers/store.ts';

const MINUTE = 60 * MICROS_PER_SECOND;
const fresh: AccountState = { account: 'a', lastRequestAt: null, blockedUntil: null, windows: {}, requests: 0 };
/** What a store does between two reads. */
const restart = (state: AccountState): AccountState => JSON.parse(JSON.stringify(state));

t.test(
  'the circuit breaker opens after failures in a row, for longer each time, admits one trial, and closes on success',
  async (t) => {
    let state = fresh;
    let now = START;
    for (let i = 1; i <= 4; i += 1) {
      state = recordFailure(restart(state), now, 1);
      t.equal(closesAt(state, now), now, `${i} in a row: not yet`);
    }
    const waits: number[] = [];
    for (let i = 0; i < 7; i += 1) {
      state = recordFailure(restart(state), now, 1);
      waits.push(closesAt(state, now) - now);
      now = closesAt(state, now);
      state = beginTrial(state, now);
      t.ok(closesAt(state, now) > now, 'while one tries, nobody else does');
    }
    t.same(
      waits.map((wait) => wait / MINUTE),
      [1, 2, 4, 8, 15, 15, 15],
    );
    state = recordSuccess(state);
    t.strictSame(state, fresh, 'nothing of it stays');
    t.equal(recordSuccess(state), state);
    t.equal(closesAt(recordFailure(state, now, 1), now), now, 'one failure after a success is one again');
  },
);

t.test(
  'the circuit breaker’s wait has jitter, and a clock that is set back does not make it longer than the longest',
  async (t) => {
    const open = (jitter: number): AccountState => {
      let state = fresh;
      for (let i = 0; i < 5; i += 1) state = recordFailure(state, START, jitter);
      return state;
    };
    t.equal(closesAt(open(0), START), START + 0.75 * MINUTE);
    t.equal(closesAt(open(1), START), START + MINUTE);
    const past = START - 10 * MICROS_PER_DAY;
    t.equal(closesAt(open(1), past), past + 15 * MINUTE);
    const advanced = restart(advanceBreaker(open(1), past));
    t.equal(
      closesAt(advanced, past + 5 * MINUTE),
      past + 15 * MINUTE,
      'and the wait does not begin anew with every look',
    );
    t.equal(advanceBreaker(advanced, past + MINUTE), advanced);
  },
);

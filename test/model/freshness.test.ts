import t from 'tap';
import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros, type Millis } from '../../src/model/clock.ts';
import { isDue, isOverdue, isStale, unreadSince } from '../../src/model/freshness.ts';

const NOW: Micros = 1_000_000 * MICROS_PER_SECOND;
const HOUR_MS: Millis = 3_600_000;
const rules = { isDue, isOverdue, isStale };

t.test('each rule has its own age, and the bound itself is not late yet', async (t) => {
  for (const [rule, every, age] of [
    ['isDue', HOUR_MS, HOUR_MS],
    ['isOverdue', HOUR_MS, HOUR_MS + 60_000],
    ['isOverdue', 1000, 2000],
    ['isStale', HOUR_MS, 2 * HOUR_MS],
  ] as const) {
    const succeededAt = NOW - age * MICROS_PER_MS;
    t.equal(rules[rule]({ succeededAt }, every, NOW), false, `${rule}: at ${age} ms`);
    t.equal(rules[rule]({ succeededAt: succeededAt - 1 }, every, NOW), true, `${rule}: after ${age} ms`);
    t.equal(rules[rule]({ succeededAt: null }, every, NOW), true, `${rule}: never read`);
  }
});

t.test('a feed can not be read since its last whole pull when polls fail, or none came', async (t) => {
  const succeededAt = NOW - 2 * MICROS_PER_SECOND;
  t.equal(unreadSince({ succeededAt, failures: 0 }, 1000, NOW), null);
  t.equal(unreadSince({ succeededAt, failures: 1 }, 1000, NOW), succeededAt);
  t.equal(unreadSince({ succeededAt, failures: 0 }, 999, NOW), succeededAt);
  t.equal(unreadSince({ succeededAt: null, failures: 3 }, 999, NOW), null, 'it never was read');
});

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
    t.equal(rules[rule]({ succeededAt, freshUntil: null }, every, NOW), false, `${rule}: at ${age} ms`);
    t.equal(
      rules[rule]({ succeededAt: succeededAt - 1, freshUntil: null }, every, NOW),
      true,
      `${rule}: after ${age} ms`,
    );
    t.equal(rules[rule]({ succeededAt: null, freshUntil: null }, every, NOW), true, `${rule}: never read`);
  }
});

t.test('a feed can not be read since its last whole pull when polls fail, or none came', async (t) => {
  const succeededAt = NOW - 2 * MICROS_PER_SECOND;
  t.equal(unreadSince({ succeededAt, freshUntil: null, failures: 0 }, 1000, NOW), null);
  t.equal(unreadSince({ succeededAt, freshUntil: null, failures: 1 }, 1000, NOW), succeededAt);
  t.equal(unreadSince({ succeededAt, freshUntil: null, failures: 0 }, 999, NOW), succeededAt);
  t.equal(unreadSince({ succeededAt: null, freshUntil: null, failures: 3 }, 999, NOW), null, 'it never was read');
});

t.test('no pull is due before the upstream’s own word on how long the last one stays as it is', async (t) => {
  const succeededAt = NOW - 5 * HOUR_MS * MICROS_PER_MS;
  const late = (freshUntil: Micros) =>
    Object.values(rules).map((rule) => rule({ succeededAt, freshUntil }, HOUR_MS, NOW));
  t.strictSame(late(NOW), [false, false, false]);
  t.strictSame(late(NOW - 1), [true, false, false]);
  t.strictSame(late(NOW - 60 * MICROS_PER_SECOND - 1), [true, true, false]);
  t.strictSame(late(NOW - HOUR_MS * MICROS_PER_MS - 1), [true, true, true]);
  t.strictSame(late(succeededAt), [true, true, true], 'it makes nothing late earlier');
  t.equal(unreadSince({ succeededAt, freshUntil: NOW, failures: 0 }, HOUR_MS, NOW), null);
});

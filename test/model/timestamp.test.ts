import fc from 'fast-check';
import t from 'tap';
import type { Micros, Millis } from '../../src/model/clock.ts';
import { systemClock } from '../../src/model/clock.ts';
import { formatMillis, parseBound, parseTimestamp } from '../../src/model/timestamp.ts';

t.test('the form that most rows have is read as every other form of the same time', async () => {
  const part = (most: number, digits: number) => fc.nat(most).map((n) => String(n).padStart(digits, '0'));
  const text = fc
    .tuple(part(9999, 4), part(14, 2), part(33, 2), part(25, 2), part(61, 2), part(59, 2), part(999, 3))
    .map(([y, mo, d, h, mi, s, ms]) => `${y}-${mo}-${d}T${h}:${mi}:${s}.${ms}Z`);
  fc.assert(
    fc.property(text, (time) => {
      // Six digits take the way of any form.
      if (parseTimestamp(time) !== parseTimestamp(`${time.slice(0, -1)}000Z`)) throw new Error(time);
    }),
  );
});

t.test('what only looks like it is no time, and a leap second is one', async (t) => {
  for (const text of [
    '2026-02-30T00:00:00.000Z',
    '1969-12-31T00:00:00.000Z',
    '2026-01-01T0x:00:00.000Z',
    '2026-01-01T00:00:00.00xZ',
    '2026-01-01T24:00:00.000Z',
  ]) {
    t.equal(parseTimestamp(text), undefined, text);
  }
  t.equal(parseTimestamp('2016-12-31T23:59:60.000Z'), parseTimestamp('2016-12-31T23:59:59.000Z'));
  t.equal(formatMillis(parseTimestamp('2024-02-29T23:59:59.999Z') ?? 0), '2024-02-29T23:59:59.999Z');
});

t.test('a bound before 1970 is 0, in years of two digits as well; what is no date stays none', async (t) => {
  for (const early of [
    '1969-12-31T23:59:59.999999Z',
    '0001-01-01T00:00:00Z',
    '0000-02-29T00:00:00Z',
    '0075-06-01T00:00:00.5Z',
  ]) {
    t.equal(parseBound(early), 0, early);
    t.equal(parseTimestamp(early), undefined, early);
  }
  t.equal(parseBound('1970-01-01T00:30:00+01:00'), 0);
  t.equal(parseBound('1970-01-01T00:00:00.000001Z'), 1);
  for (const none of ['0001-02-29T00:00:00Z', '0001-13-01T00:00:00Z', '10000-01-01T00:00:00Z', ''])
    t.equal(parseBound(none), undefined, none);
});

t.test('the clock is the machine’s, whatever becomes of that, and knows microseconds', async (t) => {
  const real = Date.now;
  t.teardown(() => {
    Date.now = real;
  });
  const near = (ms: number): boolean => Math.abs(systemClock.now() / 1000 - ms) < 1000;
  t.ok(near(real()));
  for (const step of [8 * 3_600_000, -3_600_000]) {
    // A machine that slept, and one that was set back.
    Date.now = () => real() + step;
    t.ok(near(real() + step), `${step}`);
  }
  const times = Array.from({ length: 1000 }, () => systemClock.now());
  t.ok(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0)));
  t.ok(
    times.some((time) => time % 1000 !== 0),
    'not whole milliseconds only',
  );
});

t.test('the compiler keeps milliseconds and microseconds apart', (t) => {
  const now: Micros = 1;
  const pause: Millis = 1;
  // @ts-expect-error: a length of time in the other unit
  const wrong: Millis = now;
  // @ts-expect-error: and the other way round
  const wrongToo: Micros = pause;
  t.equal(wrong + wrongToo, 2);
  t.end();
});

// slow (24 s): random histories of many feeds
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { seededRandom } from '../helpers/clock.ts';
import { type Change, type Desks, History, READERS, type Step, sourceKinds, sourceNames } from '../helpers/history.ts';
import { openDesk, type Trouble } from '../helpers/sources.ts';

/**
 * Random histories of feeds that change, fail and are not asked for a while, of restarts, crashes and clocks that jump. At
 * the end every collection holds what the sources last said and have not ended by their own word, and so does every reader
 * who followed it. While a source can't be asked nothing of it leaves but what it ended itself.
 *
 * HISTORY_SEED and HISTORY_PATH repeat a failure, HISTORY_RUNS says how many are tried.
 */
const SEED = Number(process.env['HISTORY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const PATH = process.env['HISTORY_PATH'];
const RUNS = Number(process.env['HISTORY_RUNS'] ?? 100);
const LONGEST_MS = 60_000;

t.setTimeout(600_000);

const source = fc.constantFrom(...sourceNames);
const days = fc.constantFrom(0.00002, 0.01, 0.4, 1.5, 3, 9, 26, 50);
const change = fc.record({
  do: fc.constant('change' as const),
  source,
  what: fc.constantFrom('add' as const, 'add', 'correct', 'extend', 'drop', 'revoke', 'replay'),
  object: fc.nat(3),
  value: fc.constantFrom('a.example.com', '198.51.100.1', 'b.example.com', '198.51.100.2'),
  days: fc.option(fc.constantFrom(0.02, 2, 20, 70), { freq: 2 }),
});
const trouble = fc.constantFrom<Trouble>('none', 'none', 'none', '503', 'html', 'half', 'reset', 'drop', 'cut', 'cut');
const minutes = fc.integer({ min: 1, max: 3000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: change },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('poll' as const), source, trouble }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('poll all' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('forward' as const), days }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('back' as const), minutes }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), days }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), source, answers: fc.nat(4), days }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), source, days }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), reader: fc.nat(READERS - 1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const) }) },
);

async function openDesks(t: Test): Promise<Desks> {
  return new Map(
    await Promise.all(
      Object.entries(sourceKinds).map(async ([name, kind]) => [name, await openDesk(t, kind)] as const),
    ),
  );
}

/** Plays a history to its end. Throws at the first thing that is not as it must be. */
async function play(t: Test, desks: Desks, dir: string, steps: readonly Step[]): Promise<History> {
  rmSync(dir, { recursive: true, force: true });
  const history = new History(t, desks, dir);
  await history.start();
  try {
    for (const step of steps) await history.take(step);
    await history.end();
  } finally {
    await history.stop();
  }
  return history;
}

const say = (source: string, value: string, more: Partial<Change> = {}): Change => {
  return { do: 'change', source, what: 'add', object: 1, value, days: null, ...more };
};
const [a, b] = ['a.example.com', 'b.example.com'];
/** Histories that went wrong once. */
const known: Record<string, Step[]> = {
  'rows outlive their lifetime while their source fails, and nobody polls at all': [
    say('brief', a),
    say('pages', b),
    { do: 'poll all' },
    { do: 'outage', source: 'brief', days: 9 },
    { do: 'tick' },
    { do: 'restart', days: 50 },
    { do: 'tick' },
  ],
  'an unchanged answer brings back what had ended': [
    say('brief', a),
    { do: 'poll all' },
    { do: 'restart', days: 26 },
    { do: 'tick' },
    { do: 'poll', source: 'brief', trouble: 'none' },
    { do: 'poll', source: 'brief', trouble: 'none' },
  ],
  'a newer version with another value takes back the older, and an older does not come back': [
    say('news', a),
    { do: 'poll all' },
    say('news', b, { what: 'correct' }),
    { do: 'poll all' },
    { do: 'tick' },
    say('news', a, { what: 'replay' }),
    { do: 'poll all' },
    { do: 'tick' },
  ],
  'two versions of an object in one pull': [say('news', a), say('news', b), say('brief', a), { do: 'poll all' }],
  'one of two sources ends its word, and the other goes on': [
    say('brief', a, { days: 0.02 }),
    say('list', a),
    { do: 'poll all' },
    { do: 'forward', days: 3 },
    { do: 'tick' },
  ],
  'an object that comes again beside another is no younger for it': [
    say('news', a),
    say('news', a, { object: 0 }),
    { do: 'poll all' },
    { do: 'forward', days: 26 },
    { do: 'outage', source: 'pages', days: 26 },
  ],
  'what aged out and is brought again by a cursor that stands still is no younger for it': [
    say('news', a),
    { do: 'poll', source: 'news', trouble: 'none' },
    { do: 'restart', days: 26 },
    { do: 'poll all' },
    { do: 'tick' },
    { do: 'forward', days: 1.5 },
  ],
  'a clock that was ahead is set right: what it ended stands again': [
    say('brief', a, { days: 2 }),
    { do: 'forward', days: 3 },
    { do: 'poll all' },
    { do: 'back', minutes: 1441 },
    { do: 'tick' },
  ],
  'the same, and the process came back between': [
    say('brief', a, { days: 2 }),
    { do: 'forward', days: 3 },
    { do: 'poll all' },
    { do: 'back', minutes: 1441 },
    { do: 'restart', days: 0 },
    { do: 'tick' },
  ],
  'a clock that is set back before anything is read': [
    { do: 'back', minutes: 1441 },
    say('brief', a),
    { do: 'poll all' },
    { do: 'outage', source: 'brief', days: 1.5 },
  ],
  'an end is taken back before it comes': [
    say('brief', a, { days: 0.02 }),
    { do: 'poll all' },
    say('brief', a),
    { do: 'poll', source: 'brief', trouble: 'none' },
    { do: 'restart', days: 0.4 },
    { do: 'tick' },
  ],
};

for (const [name, steps] of Object.entries(known)) {
  t.test(name, async (t) => void (await play(t, await openDesks(t), join(t.testdir(), 'history'), steps)));
}

t.test('whatever happens on the way, what is served is what the sources last said and have not ended', async (t) => {
  t.comment(`HISTORY_SEED=${SEED}`);
  const desks = await openDesks(t);
  const dir = t.testdir();
  const { random } = Math;
  t.teardown(() => {
    Math.random = random;
  });
  let [runs, held] = [0, 0];
  const begun = performance.now();
  const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24, size: 'max' }), async (steps) => {
    // Waits are spread at random: the same history must take the same time again.
    Math.random = seededRandom(SEED);
    // On a busy machine fewer histories are played; none is cut short.
    if (performance.now() - begun > LONGEST_MS) return;
    runs += 1;
    const place = join(dir, String(runs));
    held += (await play(t, desks, place, steps)).heldInOutages;
    rmSync(place, { recursive: true });
  });
  const options = { seed: SEED, numRuns: RUNS, ...(PATH === undefined ? {} : { path: PATH }) };
  await fc.assert(property, { ...options, endOnFailure: PATH !== undefined });
  t.comment(`${runs} histories`);
  t.ok(held > runs / 4, `${held} values were held while their sources could not be asked`);
});

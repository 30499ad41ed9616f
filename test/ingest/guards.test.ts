import fc from 'fast-check';
import t from 'tap';
import { doubtRows, doubtWithdrawals, noteOnSize } from '../../src/ingest/guards.ts';
import { startPull } from '../../src/ingest/pull.ts';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { unaccountedOf } from '../../src/status/feeds.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';

const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({ value: `host-${from + i}.example.net`, type: 'domain' }));
/** What an error page looks like to a format of lines. */
const junk = (count: number) => Array.from({ length: count }, (_, i) => ({ value: `<p>${i}</p>`, type: 'domain' }));
const counts = async (bench: Bench) => {
  const { live, dead } = await bench.indicators();
  return [live.length, dead.length];
};
const stateOf = (bench: Bench) => bench.writer.feedState('one');
/** Rows of the feed that no count explains. */
const unaccounted = async (bench: Bench): Promise<number> => {
  const { counts } = await bench.writer.rejections('one', 0);
  return unaccountedOf(await stateOf(bench), counts);
};

t.test('a collapse is held back: what is new is added, nothing is withdrawn, and the counts are kept', async (t) => {
  const one = feed('one', { shrinkGuard: 0.5, emptyAllowed: false });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, rows(0, 50));
  const held = await bench.pull(one, [...rows(0, 3), ...rows(50, 52), ...junk(1)]);
  t.match(held, {
    outcome: 'held-back',
    entries: 2,
    withdrawn: 0,
    error: { code: 'upstream-malformed', message: /would lose 47 of 52 rows at once \(shrink_guard\)/ },
  });
  t.strictSame(held.error?.heldBack, { read: 6, refused: 1, withdrawn: 47 });
  t.strictSame(await counts(bench), [52, 0]);
  t.match(await stateOf(bench), { failures: 1, error: { heldBack: { withdrawn: 47 } }, accepted: 50, rejected: 0 });
  t.match((await bench.writer.rejections('one', 5)).rows, [{ row: /<p>0/ }], 'the refused row is kept with its reason');
  t.equal(await unaccounted(bench), 0);

  t.match(await bench.pull(one, rows(0, 3)), { outcome: 'held-back' });
  t.match(await stateOf(bench), { failures: 2 });
  t.strictSame(await counts(bench), [52, 0], 'however often it comes');
  t.match(await bench.pull(one, rows(0, 50)), { outcome: 'whole', withdrawn: 2 });
  t.match(await stateOf(bench), { failures: 0, error: null }, 'a good pull ends it');
  t.equal(await unaccounted(bench), 0);
});

t.test('an operator accepts a shrink once, and an empty list', async (t) => {
  const one = feed('one', { shrinkGuard: 0.5, emptyAllowed: false, expectRows: { min: 20, max: 60 } });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, rows(0, 50));
  t.match(await bench.pull(one, rows(0, 3)), { outcome: 'held-back' });
  t.match(await bench.pullAccepted(one, rows(0, 3)), { outcome: 'whole', withdrawn: 47 });
  t.strictSame(await counts(bench), [3, 47]);
  t.match(await bench.pull(one, []), { outcome: 'held-back' }, 'the next pull is judged again');
  t.match(await bench.pullAccepted(one, []), { outcome: 'whole', withdrawn: 3 });
  t.match(await bench.pullAccepted(one, rows(0, 70)), { outcome: 'whole', entries: 70 }, 'more than expected as well');
});

t.test('a first pull without a row is no good pull where empty is not legal', async (t) => {
  const one = feed('one', { emptyAllowed: false });
  const bench = await openBench(t, [one], [journal()]);
  t.match(await bench.pull(one, []), { outcome: 'held-back', error: { message: /brought no row that could be used/ } });
  t.match(await bench.pull(one, junk(3)), { outcome: 'held-back' }, 'nor one of which nothing can be used');
  t.match(await stateOf(bench), { succeededAt: null, failures: 2 });
  t.match(await bench.pull(one, rows(0, 1)), { outcome: 'whole' });
  const legal = feed('one', { emptyAllowed: true });
  t.match(await (await openBench(t, [legal], [journal()])).pull(legal, []), { outcome: 'whole' });
});

t.test('a snapshot of another size than expected is held back; a delta is taken, with a note', async (t) => {
  const one = feed('one', { expectRows: { min: 10, max: 20 } });
  const bench = await openBench(t, [one], [journal()]);
  t.match(await bench.pull(one, rows(0, 9)), { outcome: 'held-back', error: { message: /9 rows where at least 10/ } });
  t.match(await bench.pull(one, rows(0, 10)), { outcome: 'whole' });
  t.match(await bench.pull(one, rows(0, 15), rows(15, 21)), { outcome: 'held-back', withdrawn: 0 });
  t.strictSame(await counts(bench), [15, 0], 'the batch with too many rows is not added');
  t.match(await bench.pull(one, rows(0, 20)), { outcome: 'whole' });

  const news = feed('one', { mode: 'delta', expectRows: { min: 1, max: 20 } });
  const other = await openBench(t, [news], [journal()]);
  t.match(await other.pull(news, rows(0, 30)), { outcome: 'whole', entries: 30 });
  t.match(await stateOf(other), { note: { text: /brought 30 rows, where at most 20 are expected/ }, failures: 0 });
  t.match(await other.pull(news, []), { outcome: 'whole', withdrawn: 0 });
  t.match(await stateOf(other), { note: { text: /brought 0 rows, where at least 1 are/ } });
  t.match(await other.pull(news, rows(0, 5)), { outcome: 'whole' });
  t.match(await stateOf(other), { note: null });
  t.strictSame(await counts(other), [30, 0], 'a delta withdraws nothing by leaving it out');
});

for (const mode of ['snapshot', 'delta'] as const) {
  t.test(`${mode}: of a list that is nearly all refused only the rejections are kept`, async (t) => {
    const one = feed('one', { mode, maxRefused: 0.9 });
    const bench = await openBench(t, [one], [journal()]);
    await bench.pull(one, rows(0, 30));
    const held = await bench.pull(one, [...junk(95), ...rows(30, 32)]);
    t.match(held, { outcome: 'held-back', entries: 0, withdrawn: 0, error: { message: /Of 97 rows of feed one, 95/ } });
    t.strictSame(await counts(bench), [30, 0]);
    t.equal((await bench.writer.rejections('one', 0)).counts[0]?.count, 95);
    t.equal(await unaccounted(bench), 0);
    t.match(await bench.pullAccepted(one, [...junk(95)]), { outcome: 'held-back' }, 'nobody accepts another format');
    t.match(await bench.pull(one, [...junk(90), ...rows(0, 10)]), { outcome: 'whole' }, 'at the bound it is taken');
    t.equal(await unaccounted(bench), 0);
  });
}

t.test('while pulls are held back, lifetimes are held as in an outage, up to its limit', async (t) => {
  const lifetime = { default: 60_000 };
  const one = feed('one', { shrinkGuard: 0.5, lifetime, every: 1000, outageLimit: 600_000 });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, rows(0, 50));
  for (let i = 0; i < 8; i += 1) {
    bench.clock.set(bench.clock.now() + 70 * MICROS_PER_SECOND);
    t.match(await bench.pull(one, rows(0, 2)), { outcome: 'held-back' });
    await bench.tick();
    t.strictSame(await counts(bench), [50, 0], `after ${i + 1} pulls`);
  }
  bench.clock.set(bench.clock.now() + 120 * MICROS_PER_SECOND);
  await bench.tick();
  const [live] = await counts(bench);
  t.ok((live ?? 0) <= 2, 'after the limit nobody vouches for them any more');
});

t.test('each guard holds back what is beyond its bound, and nothing else', async (t) => {
  const bound = fc.option(fc.nat(60), { nil: undefined });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const pulls = fc.record({
    read: fc.nat(60),
    refusing: share,
    unseen: fc.nat(60),
    seen: fc.nat(60),
    min: bound,
    max: bound,
    maxRefused: fc.option(share, { nil: undefined }),
    shrinkGuard: fc.option(share, { nil: null }),
    emptyAllowed: fc.boolean(),
    mode: fc.constantFrom('snapshot' as const, 'delta' as const),
    isForced: fc.boolean(),
  });
  const property = fc.asyncProperty(pulls, async (pull) => {
    const { read, unseen, seen, min, max, maxRefused, shrinkGuard, emptyAllowed, mode, isForced } = pull;
    const refused = Math.floor(read * pull.refusing);
    const expectRows = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
    const one = feed('one', {
      ...{ shrinkGuard, emptyAllowed, mode, expectRows },
      ...(maxRefused === undefined ? {} : { maxRefused }),
    });
    const counters = { read, refused, split: 0, taken: read - refused, filtered: 0, first: 0 };
    const taken = read - refused;
    const total = unseen + seen;
    const isMalformed = read >= 20 && maxRefused !== undefined && refused / read > maxRefused;
    const isTooMany = max !== undefined && taken > max;
    const isTooFew = min !== undefined && taken < min;
    const ofRows = doubtRows(one, counters, true, isForced);
    if ((ofRows !== null) !== (isMalformed || (mode === 'snapshot' && !isForced && isTooMany))) return false;
    if ((noteOnSize(one, counters) !== null) !== (mode === 'delta' && (isTooMany || isTooFew))) return false;
    const tx = { unseen: async () => ({ unseen, total }) };
    const isCollapse = shrinkGuard !== null && total >= 20 && unseen / total > shrinkGuard;
    const ofWithdrawals = await doubtWithdrawals(tx, startPull(one, { feed: 'one' }), counters);
    return (ofWithdrawals !== null) === (isCollapse || isTooFew || (taken === 0 && !emptyAllowed));
  });
  await fc.assert(property, { numRuns: 2000 });
  // Before the end, a share is judged only once there are many rows.
  const one = feed('one', { maxRefused: 0.9 });
  const early = (read: number) =>
    doubtRows(one, { read, refused: read, split: 0, taken: 0, filtered: 0, first: 0 }, false, false);
  t.equal(early(999), null);
  t.not(early(1000), null);
});

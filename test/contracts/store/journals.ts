import fc from 'fast-check';
import type { Test } from 'tap';
import { MICROS_PER_DAY, MICROS_PER_MS, type Micros } from '../../../src/model/clock.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import { MAX_DATES_PER_MILLISECOND } from '../../../src/store/limits.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import {
  appendEntries,
  entryFilter,
  indicatorEntry,
  objectEntry,
  openJournalStore,
  START,
  storeIn,
} from '../../helpers/store.ts';

const PAGE = { ...entryFilter(), after: 0, limit: 100 };

export async function proveJournals(t: Test, engine: StoreEngine): Promise<void> {
  await proveStamps(t, engine);

  t.test('opening a journal makes it once and changes nothing of one that is', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const journal = await writer.transaction(async (tx) => {
      await tx.setPolicyHash('pool:main', 'policy-1');
      return tx.openJournal({ name: 'pool:main', pool: 'renamed', keepVersions: 'all' });
    });
    const expected = { name: 'pool:main', pool: 'main', head: null, policyHash: 'policy-1', keepVersions: 'last' };
    t.strictSame(journal, expected);
    t.strictSame(await reader.journals(), [expected]);
  });

  t.test('the head is the newest date ever appended and stays when that entry leaves', async (t) => {
    const { writer, reader, clock } = await openJournalStore(t, engine);
    const [entry] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()]));
    await clock.advance(1000);
    await writer.transaction((tx) => tx.stamp('pool:main', 3));
    t.equal((await reader.journals())[0]?.head, entry?.dateAdded, 'dates that were never used do not count');
    await writer.transaction((tx) => tx.purge('pool:main', [entry?.dateAdded ?? 0]));
    t.equal((await reader.journals())[0]?.head, entry?.dateAdded);
  });

  t.test('only dates stamped in the same transaction are appended, in their order', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const [early = 0] = await writer.transaction((tx) => tx.stamp('pool:main', 1));
    const append = (...dates: Micros[]) =>
      writer.transaction(async (tx) => {
        const [first = 0, second = 0] = await tx.stamp('pool:main', 2);
        const chosen = dates.map((date) => (date === 1 ? first : date === 2 ? second : date));
        await tx.append(
          'pool:main',
          chosen.map((dateAdded) => ({ entry: indicatorEntry({ dateAdded }), replaces: null })),
        );
      });
    for (const dates of [[early], [START + MICROS_PER_DAY], [2, 1], [1, 1]]) {
      await t.rejects(append(...dates), { code: 'internal' }, `refuses ${dates}`);
    }
    t.strictSame((await reader.page(PAGE)).entries, []);
    await t.resolves(append(1, 2));
  });

  t.test('to replace an entry that does not stand is refused', async (t) => {
    for (const keepVersions of ['last', 'all'] as const) {
      const { writer, reader } = await openJournalStore(t, engine, keepVersions);
      const [first] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()]));
      const replace = (date: Micros) =>
        writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()], [date]));
      await t.rejects(replace(START + 12345), { code: 'internal' });
      await t.resolves(replace(first?.dateAdded ?? 0));
      await t.rejects(replace(first?.dateAdded ?? 0), { code: 'internal' }, 'nor is an entry replaced twice');
      t.equal((await reader.page(PAGE)).entries.length, 1);
      await writer.close();
      await reader.close();
    }
  });

  t.test('writing to a journal that was not opened is refused, reading it finds nothing', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    await t.rejects(
      writer.transaction((tx) => tx.stamp('pool:nowhere', 1)),
      { code: 'internal' },
    );
    const filter = entryFilter({ journal: 'pool:nowhere' });
    t.strictSame(await reader.page({ ...filter, after: 0, limit: 1 }), {
      entries: [],
      more: false,
      validity: { changes: 0, head: null },
    });
    t.strictSame(await reader.versions(filter, 0, 1), { entries: [], more: false });
    t.equal(await reader.holds(filter), false);
    t.equal(await reader.newest(filter), null);
    t.strictSame(await reader.countLive('pool:nowhere'), {});
    t.strictSame(await reader.lookup('pool:nowhere', [indicatorEntry().key]), []);
  });

  t.test('journals know nothing of each other', async (t) => {
    const { writer, reader, clock } = await openJournalStore(t, engine);
    const due = START + MICROS_PER_DAY;
    const main = await writer.transaction(async (tx) => {
      await tx.openJournal({ name: 'collection:block', pool: 'main', keepVersions: 'last' });
      return appendEntries(tx, 'pool:main', [indicatorEntry({ due }), indicatorEntry({ value: 'b.example' })]);
    });
    await clock.advance(5);
    const block = await writer.transaction((tx) =>
      appendEntries(tx, 'collection:block', [indicatorEntry({ confidence: 99 }), objectEntry()]),
    );
    const keys = main.map(({ key }) => key);
    t.strictSame((await reader.page(PAGE)).entries, main);
    t.strictSame((await reader.page({ ...PAGE, journal: 'collection:block' })).entries, block);
    t.strictSame(await reader.lookup('collection:block', keys), block.slice(0, 1));
    t.strictSame(await reader.countLive('collection:block'), { domain: 1 });
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.dueEntries('collection:block', due, 10), []);
      t.strictSame(await tx.liveKeys('collection:block', null, 10), keys.slice(0, 1));
      await tx.purge('collection:block', [main[0]?.dateAdded ?? 0]);
    });
    t.strictSame((await reader.page(PAGE)).entries, main, 'a purge reaches no other journal');
  });

  t.test('due times are told in order, over all journals the earliest', async (t) => {
    const { writer } = await openJournalStore(t, engine);
    await writer.transaction(async (tx) => {
      t.equal(await tx.nextDue(), null);
      await tx.openJournal({ name: 'pool:other', pool: 'other', keepVersions: 'last' });
      const [late, early, never, raw] = await appendEntries(tx, 'pool:main', [
        indicatorEntry({ value: 'late.example', due: START + 30 }),
        indicatorEntry({ value: 'early.example', due: START + 10 }),
        indicatorEntry({ value: 'never.example' }),
        objectEntry({ due: START + 20 }),
      ]);
      const [other] = await appendEntries(tx, 'pool:other', [indicatorEntry({ due: START + 5 })]);
      t.equal(await tx.nextDue(), START + 5);
      t.strictSame(await tx.dueEntries('pool:main', START + 9, 10), []);
      t.strictSame(await tx.dueEntries('pool:main', START + 20, 10), [early, raw]);
      t.strictSame(await tx.dueEntries('pool:main', START + 99, 2), [early, raw]);
      await tx.setDue('pool:main', [
        { dateAdded: early?.dateAdded ?? 0, due: null },
        { dateAdded: never?.dateAdded ?? 0, due: START + 1 },
      ]);
      t.strictSame(await tx.dueEntries('pool:main', START + 99, 10), [{ ...never, due: START + 1 }, raw, late]);
      t.equal(await tx.nextDue(), START + 1);
      await tx.purge('pool:main', [never?.dateAdded ?? 0]);
      await appendEntries(tx, 'pool:other', [indicatorEntry({ due: null })], [other?.dateAdded ?? 0]);
      t.equal(await tx.nextDue(), START + 20, 'what left or was replaced is due no more');
    });
  });

  t.test('a superseded version that is kept is due no more', async (t) => {
    const { writer } = await openJournalStore(t, engine, 'all');
    await writer.transaction(async (tx) => {
      const [first] = await appendEntries(tx, 'pool:main', [indicatorEntry({ due: START })]);
      await appendEntries(tx, 'pool:main', [indicatorEntry({ version: START + 1000 })], [first?.dateAdded ?? 0]);
      t.strictSame(await tx.dueEntries('pool:main', START + 1, 10), []);
    });
  });

  t.test('an entry with a lone surrogate, a NUL or an odd foreign id comes back as it was', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const ids = [
      'malware--0D2F3A5C-9A4B-4C1D-8E2F-0123456789AB',
      'malware--0d2f3a5c9a4b4c1d8e2f0123456789ab',
      'malware--not a uuid at all',
      'malware--:colon',
      'malware--',
      'x-odd--type--0d2f3a5c-9a4b-4c1d-8e2f-0123456789ab',
    ];
    const kept = await writer.transaction((tx) =>
      appendEntries(
        tx,
        'pool:main',
        ids.map((objectId) => objectEntry({ objectId, stixType: objectId.slice(0, objectId.indexOf('--')) })),
      ),
    );
    t.strictSame((await reader.page(PAGE)).entries, kept);
    for (const [i, id] of ids.entries()) {
      const page = await reader.page({ ...PAGE, objectIds: [id] });
      t.strictSame(page.entries, [kept[i]], id);
    }
    await t.rejects(
      writer.transaction((tx) => appendEntries(tx, 'pool:main', [objectEntry({ objectId: 'no-id' })])),
      { code: 'internal' },
    );
  });
}

async function proveStamps(t: Test, engine: StoreEngine): Promise<void> {
  t.test(
    'dates rise strictly over commits, rollbacks, restarts and any clock; 500 at most in a millisecond',
    async (t) => {
      const step = fc.record({
        advance: fc.oneof(
          fc.constant(0),
          fc.integer({ min: -5_000_000, max: 5_000_000 }),
          fc.integer({ min: 0, max: 900 }),
        ),
        count: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(499, 500, 501, 3000)),
        end: fc.constantFrom('commit', 'commit', 'commit', 'rollback', 'restart'),
      });
      let run = 0;
      const root = t.testdir();
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          run += 1;
          const clock = scriptedClock(START);
          let writer = await storeIn(`${root}/${run}`, engine).openWriter(clock);
          await writer.transaction((tx) => tx.openJournal({ name: 'j', pool: 'p', keepVersions: 'last' }));
          let last = 0;
          const perMillisecond = new Map<number, number>();
          for (const { advance, count, end } of steps) {
            clock.set(clock.now() + advance);
            let dates: Micros[] = [];
            const stamped = writer.transaction(async (tx) => {
              dates = await tx.stamp('j', count);
              if (end === 'rollback') throw new Error('rollback');
            });
            await stamped.catch((error) => {
              if (error.message !== 'rollback') throw error;
            });
            if (dates.length !== count) throw new Error('a wrong number of dates');
            // There was room for all of them between the last date and now.
            const room = clock.now() - last >= (Math.ceil(count / MAX_DATES_PER_MILLISECOND) + 1) * MICROS_PER_MS;
            if (room && dates.some((date) => date > clock.now())) throw new Error('a date of the future');
            if (end === 'rollback') continue;
            for (const date of dates) {
              if (!Number.isSafeInteger(date) || date <= last) throw new Error(`${date} after ${last}`);
              last = date;
              const millisecond = Math.floor(date / MICROS_PER_MS);
              const used = (perMillisecond.get(millisecond) ?? 0) + 1;
              if (used > MAX_DATES_PER_MILLISECOND) throw new Error('too many dates in a millisecond');
              perMillisecond.set(millisecond, used);
            }
            if (end === 'restart') {
              await writer.close();
              writer = await storeIn(`${root}/${run}`, engine).openWriter(clock);
            }
          }
          await writer.close();
        }),
        { numRuns: 40 },
      );
    },
  );

  t.test('a batch that has room is dated up to now and not beyond', async (t) => {
    const { writer, clock } = await openJournalStore(t, engine);
    const dates = await writer.transaction((tx) => tx.stamp('pool:main', 20_000));
    t.equal(dates.at(-1), clock.now());
    await clock.advance(1000);
    const [next = 0] = await writer.transaction((tx) => tx.stamp('pool:main', 1));
    t.equal(next, clock.now());
  });

  t.test('a date that was purged with its entry is never given out again', async (t) => {
    const { writer, clock } = await openJournalStore(t, engine);
    const [entry] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()]));
    const date = entry?.dateAdded ?? 0;
    await writer.transaction((tx) => tx.purge('pool:main', [date]));
    clock.set(START - MICROS_PER_DAY);
    const [next = 0] = await writer.transaction((tx) => tx.stamp('pool:main', 1));
    t.ok(next > date, 'even when the clock was set back by a day');
  });
}

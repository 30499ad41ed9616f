import type { Test } from 'tap';
import type { StoreEngine } from '../../../src/store/engine.ts';
import type { Transaction } from '../../../src/store/store.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import {
  appendEntries,
  entryFilter,
  indicatorEntry,
  objectEntry,
  observation,
  openJournalStore,
  openTemporaryStore,
  START,
  storeIn,
} from '../../helpers/store.ts';

const PAGE = { ...entryFilter(), after: 0, limit: 100 };

export async function proveTransactions(t: Test, engine: StoreEngine): Promise<void> {
  t.test('a transaction sees its own writes, readers see them all at once after it', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    await writer.transaction(async (tx) => {
      await appendEntries(tx, 'pool:main', [indicatorEntry()]);
      await tx.saveFeedState('house', { cursor: 'c1' });
      t.equal((await tx.page(PAGE)).entries.length, 1);
      t.equal((await tx.feedState('house')).cursor, 'c1');
      for (const outside of [reader, writer]) {
        t.equal((await outside.page(PAGE)).entries.length, 0);
        t.equal((await outside.journals())[0]?.head, null);
        t.equal((await outside.feedState('house')).cursor, null);
      }
    });
    for (const outside of [reader, writer]) {
      t.equal((await outside.page(PAGE)).entries.length, 1);
      t.equal((await outside.feedState('house')).cursor, 'c1');
    }
  });

  t.test('an error undoes everything and passes through as it is', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const pull = await writer.beginPull('house');
    const cause = new Error('the caller changed its mind');
    await t.rejects(
      writer.transaction(async (tx) => {
        await tx.openJournal({ name: 'pool:other', pool: 'other', keepVersions: 'all' });
        await appendEntries(tx, 'pool:main', [indicatorEntry(), objectEntry({ stixType: 'x-undone' })]);
        await tx.observe(pull, [observation()]);
        await tx.saveFeedState('house', { cursor: 'c1' });
        await tx.reject(await writer.beginPull('house'), [{ reason: 'bad-value', detail: 'no', row: '{}' }], START);
        throw cause;
      }),
      cause,
    );
    t.strictSame(await reader.journals(), [
      { name: 'pool:main', pool: 'main', head: null, policyHash: null, keepVersions: 'last' },
    ]);
    t.strictSame((await reader.page(PAGE)).entries, []);
    t.strictSame(await reader.feedStates(), []);
    t.strictSame(await reader.rejections('house', 10), { counts: [], rows: [] });
    t.strictSame(await reader.countLive('pool:main'), {});
  });

  t.test('what follows an undone transaction is not mixed up with it', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const pull = await writer.beginPull('house');
    const known = observation({ value: 'known.example' });
    const undone = observation({ value: 'undone.example' });
    const first = await writer.beginPull('house');
    await writer.transaction((tx) => tx.observe(first, [known]));
    const failing = writer.transaction(async (tx) => {
      await tx.observe(pull, [known, undone]);
      await appendEntries(tx, 'pool:main', [objectEntry({ stixType: 'x-undone' }), indicatorEntry({ type: 'url' })]);
      throw new Error('undo');
    });
    await t.rejects(failing, { message: 'undo' });
    const kept = await writer.transaction(async (tx) => {
      t.strictSame(await tx.unseen(pull), { unseen: 1, total: 1 }, 'the undone pull has seen nothing');
      t.strictSame((await tx.observe(pull, [undone])).changed, [undone.key], 'an undone row is new again');
      t.strictSame(await tx.unseen(pull), { unseen: 1, total: 2 });
      return appendEntries(tx, 'pool:main', [objectEntry({ stixType: 'x-kept' }), indicatorEntry({ type: 'email' })]);
    });
    t.strictSame((await reader.page(PAGE)).entries, kept);
  });

  t.test('transactions queue in order and never overlap', async (t) => {
    const { writer } = await openTemporaryStore(t, scriptedClock(START), engine);
    const log: string[] = [];
    const turn = (name: string) =>
      writer.transaction(async () => {
        log.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`${name} ends`);
        if (name === 'b') throw new Error('b fails');
      });
    const outcomes = await Promise.allSettled([turn('a'), turn('b'), turn('c')]);
    t.strictSame(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    t.strictSame(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  t.test('a transaction within a transaction fails clearly and does not wait for itself', async (t) => {
    const { writer } = await openTemporaryStore(t, scriptedClock(START), engine);
    await writer.transaction(async () => {
      await t.rejects(
        writer.transaction(async () => {}),
        { code: 'internal', message: /nest/ },
      );
    });
    await t.resolves(writer.transaction(async () => {}));
  });

  t.test('a call that failed is not committed, even if its error is swallowed', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const failing = writer.transaction(async (tx) => {
      await tx.saveFeedState('house', { cursor: 'half' });
      const good = indicatorEntry({ value: 'good.example' });
      const bad = indicatorEntry({ value: 'bad.example', confidence: 'much' as unknown as number });
      await appendEntries(tx, 'pool:main', [good, bad]).catch(() => {});
    });
    await t.rejects(failing, { name: 'GatewayError', code: 'store-failed' });
    t.strictSame((await reader.page(PAGE)).entries, []);
    t.equal((await reader.feedState('house')).cursor, null);
  });

  t.test('a transaction that is over refuses further calls', async (t) => {
    const { writer } = await openTemporaryStore(t, scriptedClock(START), engine);
    const kept = await writer.transaction(async (tx): Promise<{ tx: Transaction }> => ({ tx }));
    await t.rejects(kept.tx.saveFeedState('house', { cursor: 'late' }), { code: 'internal', message: /over/ });
    await writer.transaction(async (tx) => {
      await t.rejects(kept.tx.feedState('house'), { code: 'internal' }, 'nor does it slip into the next one');
      t.equal((await tx.feedState('house')).cursor, null);
    });
  });

  t.test('a closed store refuses everything, and finishes what was under way', async (t) => {
    const location = t.testdir();
    const writer = await storeIn(location, engine).openWriter(scriptedClock(START));
    const under = writer.transaction((tx) => tx.saveFeedState('house', { cursor: 'c1' }));
    await writer.close();
    await t.resolves(under);
    await t.rejects(
      writer.transaction(async () => {}),
      { code: 'internal' },
    );
    await t.rejects(writer.feedStates(), { code: 'store-failed' });
    const reader = await storeIn(location, engine).openReader();
    t.equal((await reader.feedState('house')).cursor, 'c1');
    await reader.close();
    await t.rejects(reader.feedStates(), { code: 'store-failed' });
  });

  t.test('everything is still there after the store was closed and opened', async (t) => {
    const location = t.testdir();
    const clock = scriptedClock(START);
    const before = await storeIn(location, engine).openWriter(clock);
    const kept = await before.transaction(async (tx) => {
      await tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' });
      return appendEntries(tx, 'pool:main', [indicatorEntry(), objectEntry({ isProducerObject: true })]);
    });
    const identity = [await before.namespace(), await before.cursorSecret()];
    await before.close();
    const after = await storeIn(location, engine).openWriter(clock);
    t.teardown(() => after.close());
    t.strictSame((await after.page(PAGE)).entries, kept);
    t.strictSame([await after.namespace(), await after.cursorSecret()], identity);
  });

  t.test('each store has an identity of its own: a UUID version 4 and 32 random bytes', async (t) => {
    const one = await openTemporaryStore(t, scriptedClock(START), engine);
    const location = t.testdir({ other: {} });
    const other = await storeIn(`${location}/other`, engine).openWriter(scriptedClock(START));
    t.teardown(() => other.close());
    t.match(await one.reader.namespace(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    t.match(await one.reader.cursorSecret(), /^[0-9a-f]{64}$/);
    t.not(await one.reader.namespace(), await other.namespace());
    t.not(await one.reader.cursorSecret(), await other.cursorSecret());
  });

  t.test('there is nothing to read before a writer was there', async (t) => {
    const location = t.testdir();
    t.notOk(await storeIn(location, engine).exists());
    await t.rejects(storeIn(location, engine).openReader(), { name: 'GatewayError', code: 'store-failed' });
    t.notOk(await storeIn(location, engine).exists(), 'asking makes nothing');
    const made = await openTemporaryStore(t, scriptedClock(START), engine);
    t.ok(await storeIn(made.location, engine).exists());
  });
}

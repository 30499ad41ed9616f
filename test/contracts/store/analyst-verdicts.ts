import type { Test } from 'tap';
import type { AnalystVerdict } from '../../../src/model/analyst-verdict.ts';
import { observableKey } from '../../../src/model/observable.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import { MAX_ENDED_VERDICTS } from '../../../src/store/limits.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import { openTemporaryStore, START } from '../../helpers/store.ts';

type Given = Omit<AnalystVerdict, 'id' | 'ended'>;

const verdict = (value: string, more: Partial<Given> = {}): Given => {
  const observable = { type: 'domain' as const, value };
  const rest = { by: 'ann', note: null, at: START, seenAt: null, until: null };
  return { pool: 'main', key: observableKey(observable), observable, kind: 'false-positive', ...rest, ...more };
};

/** What analysts say of observables. */
export async function proveAnalystVerdicts(t: Test, engine: StoreEngine): Promise<void> {
  const open = async (t: Test) => {
    const { writer, reader } = await openTemporaryStore(t, scriptedClock(START), engine);
    const add = (one: Given) => writer.transaction((tx) => tx.addAnalystVerdict(one));
    const standing = async (pool: string, ...values: string[]) => {
      const keys = values.map((value) => verdict(value).key);
      const found = await writer.transaction((tx) => tx.standingVerdicts(pool, keys));
      return found.map(({ observable, kind }) => `${observable.value} ${kind}`).sort();
    };
    const list = (more: Partial<Parameters<typeof reader.analystVerdicts>[0]> = {}) =>
      reader.analystVerdicts({ pool: null, keys: null, withEnded: true, before: null, limit: 100, ...more });
    return { writer, reader, add, standing, list };
  };

  t.test('a verdict is read as it was given, in its own pool', async (t) => {
    const { writer, add, standing, list, reader } = await open(t);
    t.strictSame(await standing('main', 'a.example'), []);
    const given = verdict('a.example', { kind: 'sighted', note: 'n\0', seenAt: START - 5, until: START + 9 });
    const added = await add(given);
    t.strictSame(added, { ...given, id: added.id, ended: null });
    t.strictSame(await list(), [added]);
    await add(verdict('a.example', { pool: 'other' }));
    t.strictSame(await standing('main', 'a.example', 'b.example', 'a.example'), ['a.example sighted']);
    t.strictSame(await standing('other', 'a.example'), ['a.example false-positive']);
    t.strictSame(await standing('third', 'a.example'), []);
    t.strictSame(await standing('main'), []);
    const has = (pool: string) => writer.transaction((tx) => tx.hasStandingVerdicts(pool));
    t.strictSame([await has('main'), await has('third')], [true, false]);
    await writer.transaction((tx) => tx.endAnalystVerdicts([added.id], START, 'bob'));
    t.strictSame([await has('main'), await has('other')], [false, true]);
    t.strictSame([await reader.countAnalystVerdicts('main'), await reader.countAnalystVerdicts('other')], [0, 1]);
  });

  t.test('on each question about an observable the last one stands, and the one before it is kept', async (t) => {
    const { add, standing, list, reader } = await open(t);
    await add(verdict('a.example'));
    await add(verdict('a.example', { kind: 'sighted', seenAt: START, at: START + 1 }));
    t.strictSame(await standing('main', 'a.example'), ['a.example false-positive', 'a.example sighted']);
    await add(verdict('a.example', { kind: 'confirmed', by: 'bob', at: START + 2 }));
    await add(verdict('a.example', { kind: 'sighted', seenAt: START, by: 'eve', at: START + 3 }));
    await add(verdict('b.example'));
    t.strictSame(await standing('main', 'a.example'), ['a.example confirmed', 'a.example sighted']);
    t.equal(await reader.countAnalystVerdicts('main'), 3);
    t.strictSame(
      (await list({ keys: [verdict('a.example').key] })).map(({ kind, ended }) => [kind, ended]),
      [
        ['sighted', null],
        ['confirmed', null],
        ['sighted', { at: START + 3, by: 'eve' }],
        ['false-positive', { at: START + 2, by: 'bob' }],
      ],
    );
  });

  t.test('verdicts are listed newest first, page by page', async (t) => {
    const { add, list } = await open(t);
    const ids: number[] = [];
    for (const pool of ['main', 'other', 'main']) {
      for (const value of ['a.example', 'b.example']) ids.unshift((await add(verdict(value, { pool }))).id);
    }
    t.strictSame(
      ids,
      [...ids].sort((a, b) => b - a),
      'ids rise',
    );
    const idsOf = async (more: Parameters<typeof list>[0]) => (await list(more)).map(({ id }) => id);
    t.strictSame(await idsOf({ limit: 2 }), ids.slice(0, 2));
    t.strictSame(await idsOf({ limit: 2, before: ids[1] as number }), ids.slice(2, 4));
    t.strictSame(await idsOf({ withEnded: false }), ids.slice(0, 4));
    t.strictSame(await idsOf({ pool: 'other' }), ids.slice(2, 4));
    t.strictSame(await idsOf({ pool: 'main', withEnded: false, keys: [verdict('b.example').key] }), [ids[0]]);
    t.strictSame(await idsOf({ keys: [] }), []);
    t.strictSame(await idsOf({ limit: 0 }), []);
  });

  t.test('a verdict ends once, by hand or at its date, and stays readable', async (t) => {
    const { writer, add, standing, list } = await open(t);
    const a = await add(verdict('a.example', { until: START + 10 }));
    const b = await add(verdict('b.example', { until: START + 5 }));
    const c = await add(verdict('c.example'));
    const overdue = (now: number, limit = 10) =>
      writer.transaction(async (tx) => (await tx.overdueVerdicts(now, limit)).map(({ id }) => id));
    const end = (ids: number[], at: number, by: string | null) =>
      writer.transaction((tx) => tx.endAnalystVerdicts(ids, at, by));
    t.strictSame(await overdue(START + 4), []);
    t.strictSame(await overdue(START + 5), [b.id]);
    t.strictSame(await overdue(START + 10), [b.id, a.id]);
    t.strictSame(await overdue(START + 10, 1), [b.id]);
    await end([b.id], START + 7, null);
    await end([c.id], START + 8, 'bob');
    await end([b.id, c.id], START + 9, 'eve');
    t.strictSame(
      (await list()).map(({ ended }) => ended),
      [{ at: START + 8, by: 'bob' }, { at: START + 5, by: null }, null],
    );
    t.strictSame(await standing('main', 'a.example', 'b.example', 'c.example'), ['a.example false-positive']);
    t.strictSame(await overdue(START + 10), [a.id]);
  });

  t.test('what a clock that was ahead ended stands again, unless something was said since', async (t) => {
    const { writer, add, standing } = await open(t);
    const until = START + 10;
    const ended = [
      await add(verdict('early.example', { until })),
      await add(verdict('due.example', { until: START + 5 })),
      await add(verdict('answered.example', { until })),
      await add(verdict('seen.example', { until })),
    ];
    const byHand = await add(verdict('hand.example', { until }));
    await writer.transaction(async (tx) => {
      await tx.endAnalystVerdicts(
        ended.map(({ id }) => id),
        until,
        null,
      );
      await tx.endAnalystVerdicts([byHand.id], until, 'bob');
    });
    await add(verdict('answered.example', { kind: 'confirmed' }));
    await add(verdict('seen.example', { kind: 'sighted', seenAt: START }));
    await add(verdict('early.example', { pool: 'other' }));
    const revive = (now: number, limit: number) => writer.transaction((tx) => tx.reviveVerdicts(now, limit));
    const revived = [...(await revive(START + 5, 1)), ...(await revive(START + 5, 1)), ...(await revive(START + 5, 1))];
    t.strictSame(
      revived.sort((a, b) => a.id - b.id),
      [ended[0], ended[3]],
    );
    t.strictSame(await revive(START + 4, 10), [ended[1]]);
    const values = ['early', 'due', 'answered', 'seen', 'hand'].map((name) => `${name}.example`);
    t.strictSame(await standing('main', ...values), [
      'answered.example confirmed',
      'due.example false-positive',
      'early.example false-positive',
      'seen.example false-positive',
      'seen.example sighted',
    ]);
  });

  t.test('what ended is forgotten after a time, and the oldest of too many', async (t) => {
    const { writer, add, list } = await open(t);
    for (const at of [1, 2, 3]) {
      const { id } = await add(verdict('a.example'));
      await writer.transaction((tx) => tx.endAnalystVerdicts([id], START + at, 'bob'));
    }
    const standing = await add(verdict('b.example', { at: START - 99 }));
    await writer.transaction((tx) => tx.forgetEndedVerdicts(START + 2));
    const ends = async () => (await list({ limit: 100_000 })).flatMap(({ ended }) => ended?.at ?? []);
    t.strictSame(await ends(), [START + 3, START + 2]);
    await writer.transaction(async (tx) => {
      for (let i = 0; i < MAX_ENDED_VERDICTS - 1; i += 1) {
        const { id } = await tx.addAnalystVerdict(verdict('many.example', { at: START + 10 }));
        await tx.endAnalystVerdicts([id], START + 10, 'bob');
      }
      await tx.forgetEndedVerdicts(START);
    });
    const kept = await ends();
    t.equal(kept.length, MAX_ENDED_VERDICTS);
    t.ok(kept.includes(START + 3));
    t.notOk(kept.includes(START + 2), 'the one that ended first');
    t.equal((await list({ withEnded: false }))[0]?.id, standing.id, 'what stands is not counted among them');
  });
}

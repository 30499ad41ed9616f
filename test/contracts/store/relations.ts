import type { Test } from 'tap';
import { observableKey } from '../../../src/model/observable.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import { openJournalStore, stixObject, uuidOf } from '../../helpers/store.ts';

/** How relations are found by what they point at. */
export async function proveRelations(t: Test, engine: StoreEngine): Promise<void> {
  const ref = (type: string, name: string): string => `${type}--${uuidOf(name)}`;
  const [x, y, v] = [ref('indicator', 'x'), ref('indicator', 'y'), ref('vulnerability', 'v')];
  const relation = (name: string, source_ref: string, target_ref: string) =>
    stixObject({ name, type: 'relationship', raw: { type: 'relationship', source_ref, target_ref } });

  t.test('relations of a feed are walked by their ends, as they stand now', async (t) => {
    const { writer } = await openJournalStore(t, engine);
    const from = relation('from', x, ref('malware', 'm'));
    const to = relation('to', ref('malware', 'm'), x);
    const both = relation('both', y, v);
    const seen = stixObject({ name: 'seen', type: 'sighting', raw: { type: 'sighting', sighting_of_ref: x } });
    const none = relation('none', ref('tool', 'x'), ref('malware', 'm'));
    const other = stixObject({ name: 'report', type: 'report', raw: { type: 'report', source_ref: x } });
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.relatingFeeds(['one', 'two', 'nobody']), []);
      const pull = await writer.beginPull('one');
      await tx.observeObjects(pull, [from, to, both, seen, none, other]);
      await tx.observeObjects(await writer.beginPull('two'), [none]);
      t.strictSame(await tx.relatingFeeds(['two', 'one', 'nobody']), ['one']);
      const walk = async (...ends: string[]) => {
        const ids: string[] = [];
        for (;;) {
          const page = await tx.relatedObjects('one', ends, ids.at(-1) ?? null, 1);
          if (page.length === 0) return ids;
          ids.push(...page);
        }
      };
      const onX = [from.id, to.id, seen.id].toSorted();
      t.strictSame(await walk(x), onX, 'ascending, one at a time');
      t.strictSame(await walk(v), [both.id], 'by either end');
      t.strictSame(await walk(y, v), [both.id], 'once');
      t.strictSame(await walk(y, x, x), [...onX, both.id].toSorted());
      t.strictSame([await walk(), await walk(ref('malware', 'm')), await walk('a row')], [[], [], []]);
      t.strictSame(await tx.relatedObjects('two', [x], null, 10), []);
      t.strictSame(await tx.relatedObjects('nobody', [x], null, 10), []);
      await tx.observeObjects(await writer.beginPull('one'), [{ ...to, raw: { ...to.raw, target_ref: y } }]);
      t.strictSame(
        await walk(x),
        onX.filter((id) => id !== to.id),
      );
      t.strictSame(await walk(y), [both.id, to.id].toSorted());
      await tx.removeObjects('one', [from.id, both.id, seen.id]);
      t.strictSame(await tx.relatingFeeds(['one']), ['one']);
      await tx.removeObjects('one', [to.id]);
      t.strictSame(await tx.relatingFeeds(['one']), []);
    });
  });

  t.test('what a journal points at is found until it points elsewhere', async (t) => {
    const { writer } = await openJournalStore(t, engine);
    const keyOf = (value: string) => observableKey({ type: 'domain', value });
    const keys = [keyOf('a.example'), keyOf('b.example')] as const;
    const ids = ['1', '2', '3'].map((name) => ref('relationship', name)).toSorted() as [string, string, string];
    await writer.transaction(async (tx) => {
      await tx.openJournal({ name: 'other', pool: 'main', keepVersions: 'last' });
      const pointing = (...keys: string[]) => tx.pointing('pool:main', keys, null, 10);
      t.strictSame(await pointing(...keys), []);
      const [one, two, three] = ids;
      await tx.point('pool:main', ids, [
        { id: two, key: keys[0] },
        { id: one, key: keys[0] },
        { id: one, key: keys[1] },
        { id: three, key: keys[1] },
        { id: three, key: keys[1] },
      ]);
      await tx.point('other', [two], [{ id: two, key: keys[1] }]);
      t.strictSame(await pointing(keys[0]), [one, two]);
      t.strictSame(await pointing(...keys), ids, 'each once');
      t.strictSame(await tx.pointing('pool:main', keys, one, 1), [two], 'behind one, as many as asked');
      t.strictSame(await tx.pointing('other', keys, null, 10), [two]);
      t.strictSame(await tx.pointing('nobody', keys, null, 10), []);
      await tx.point('pool:main', [one, two], [{ id: one, key: keys[1] }]);
      t.strictSame(await pointing(keys[0]), []);
      t.strictSame(await pointing(keys[1]), [one, three]);
      t.strictSame(await tx.pointing('other', keys, null, 10), [two], 'of each journal apart');
    });
    await t.rejects(
      writer.transaction((tx) => tx.point('nobody', ids, [])),
      { code: 'internal' },
    );
  });
}

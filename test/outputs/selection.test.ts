import t from 'tap';
import { optionsOf, parseOption, readOptions } from '../../src/outputs/options.ts';
import type { Output, Selection } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { fits, isSelected, selectAll, within } from '../../src/outputs/selection.ts';
import { indicatorEntry, objectEntry } from '../helpers/store.ts';

const all: Selection = { types: null, prefixes: 'stated', order: 'newest', maximum: null };
const needing = (needs: Partial<Selection>): Output => ({ ...outputs.txt, needs: () => needs });

t.test('a selection is what was asked for, within what the format can hold', async (t) => {
  const addresses = needing({ types: ['ipv4', 'ipv6'], maximum: 100 });
  t.strictSame(within(all, outputs.txt, {}), all, 'a format without needs takes what it gets');
  t.strictSame(within(all, addresses, {}), { ...all, types: ['ipv4', 'ipv6'], maximum: 100 });
  t.strictSame(within({ ...all, types: ['cve', 'ipv4'], maximum: 10 }, addresses, {}), {
    ...all,
    types: ['ipv4'],
    maximum: 10,
  });
  t.strictSame(within({ ...all, types: ['cve'] }, addresses, {}).types, [], 'nothing is left');
});

t.test('a format is offered where its entries come as it needs them', async (t) => {
  const newest = { order: 'newest', prefixes: 'stated' } as const;
  for (const output of Object.values<Output>(outputs)) t.ok(fits(output, readOptions(output, {}), newest), output.name);
  t.ok(fits(needing({ order: 'newest', types: ['ipv4'] }), {}, newest));
  t.notOk(fits(needing({ order: 'strongest' }), {}, newest));
  t.notOk(fits(needing({ prefixes: 'merged' }), {}, newest));
});

t.test('entries that are not selected are left out, and none is read beyond the maximum', async (t) => {
  const address = (n: number) => indicatorEntry({ type: 'ipv4', value: `192.0.2.${n}` });
  const name = indicatorEntry({ value: 'a.example' });
  const object = objectEntry({ name: 'x' });
  t.ok(isSelected(object, { types: [] }), 'objects that are no indicators have no such type');
  let read = 0;
  const slices = (async function* () {
    for (const slice of [[address(1), name], [object, address(2), address(3)], [address(4)]]) {
      read += 1;
      yield slice;
    }
  })();
  const selected = [];
  for await (const slice of selectAll(slices, { ...all, types: ['ipv4'], maximum: 3 })) selected.push(...slice);
  t.strictSame(
    selected.map((entry) => (entry.kind === 'object' ? 'object' : entry.value)),
    ['192.0.2.1', 'object', '192.0.2.2'],
  );
  t.equal(read, 2);
});

t.test('options: defaults, texts of a query, and what is refused', async (t) => {
  const { txt, csv } = outputs;
  t.strictSame(readOptions(txt, {}), { comments: false, prefixes: 'cidr' });
  t.strictSame(readOptions(txt, { comments: true }), { comments: true, prefixes: 'cidr' });
  t.throws(() => readOptions(txt, { comments: 'yes' }), { code: 'bad-request', details: { parameter: 'comments' } });
  t.throws(() => readOptions(csv, { comments: true }), { message: 'comments is no option of the format csv.' });
  t.strictSame(
    ['true', 'false', 'yes', '1'].map((text) => parseOption({ type: 'boolean' }, text)),
    [true, false, 'yes', '1'],
  );
  t.strictSame(
    ['12', '-1', '1e3', ''].map((text) => parseOption({ type: 'integer' }, text)),
    [12, '-1', '1e3', ''],
  );
  t.equal(parseOption({ enum: ['12'] }, '12'), '12');
  const other: Output = { ...csv, options: { ...txt.options, properties: { comments: { type: 'integer' } } } };
  t.throws(() => optionsOf([txt, other]), { code: 'internal' }, 'one name, one meaning');
});

import fc from 'fast-check';
import t from 'tap';
import Type from 'typebox';
import { Value } from 'typebox/value';
import { type FieldOptions, fieldOptions, rowFields, rowMaker } from '../../src/feeds/fields.ts';

const schema = Type.Object(fieldOptions, { additionalProperties: false });

/** The rows of a record, whose members the selectors name. */
function rowsOf(options: FieldOptions, record: Record<string | number, unknown>) {
  if (!Value.Check(schema, options)) throw new Error('the options are refused');
  return rowMaker(options)((selector) => (Object.hasOwn(record, selector) ? record[selector] : undefined));
}

const value = 'v';

t.test('every property of a row has a field, and a constant where the record says nothing', async (t) => {
  for (const [name, property] of Object.entries(rowFields)) {
    if (name === 'value') continue;
    const listed = ['labels', 'techniques', 'references'].includes(name);
    const row = (said: unknown) => [{ value: 'x', [property]: listed ? [said] : said }];
    t.strictSame(rowsOf({ fields: { value, [name]: 'p' } }, { v: 'x', p: 'said' }), row('said'), name);
    t.strictSame(rowsOf({ fields: { value }, constants: { [name]: 7 } }, { v: 'x', p: 'said' }), row(7), name);
    t.strictSame(
      rowsOf({ fields: { value, [name]: 'p' }, constants: { [name]: false } }, { v: 'x' }),
      row(false),
      name,
    );
    t.strictSame(rowsOf({ fields: { value, [name]: 'p' } }, { v: 'x', p: ' ' }), [{ value: 'x' }], name);
  }
  t.equal(Object.keys(rowFields).length, 19);
});

t.test('a selector may be a number', async (t) => {
  t.strictSame(rowsOf({ fields: { value: 2, name: 10 } }, { 2: 'x', 10: 'n' }), [{ value: 'x', name: 'n' }]);
});

t.test('the first field that says something counts, before the constant', async (t) => {
  const options = { fields: { value, name: ['a', 'b', 'c'] }, constants: { name: 'fixed' }, null_words: ['None'] };
  const nameOf = (record: object) => rowsOf(options, { v: 'x', ...record })[0]?.name;
  t.equal(nameOf({ a: '1', b: '2' }), '1');
  t.equal(nameOf({ a: '', b: '2', c: '3' }), '2');
  t.equal(nameOf({ a: null, b: ' \t', c: '3' }), '3');
  t.equal(nameOf({ a: 'None', b: undefined, c: ' 3 ' }), '3', 'text is trimmed');
  t.equal(nameOf({ a: 0 }), 0, 'zero says something');
  t.equal(nameOf({ a: false }), false);
  t.equal(nameOf({ a: '', b: 'NONE' }), 'fixed');
});

t.test('each value gives a row with all else that the record says', async (t) => {
  const options = { fields: { value: ['a', 'b'], labels: 'l' }, constants: { type: 'hash' }, null_words: ['n/a'] };
  const rest = { type: 'hash', labels: ['one'] };
  t.strictSame(rowsOf(options, { a: '1', b: ' 2', l: 'one' }), [
    { value: '1', ...rest },
    { value: '2', ...rest },
  ]);
  t.strictSame(rowsOf(options, { a: 'N/A', b: '2', l: 'one' }), [{ value: '2', ...rest }]);
  t.strictSame(rowsOf(options, { a: ['1', 'n/a', '3'], b: 4 }), [
    { value: '1', type: 'hash' },
    { value: '3', type: 'hash' },
    { value: 4, type: 'hash' },
  ]);
  const [first, second] = rowsOf(options, { a: '1', b: '2' });
  t.not(first, second, 'two rows');
});

t.test('a record without a value gives one row, with the constant or without a value', async (t) => {
  t.strictSame(rowsOf({ fields: { value, name: 'n' } }, { n: 'x' }), [{ value: undefined, name: 'x' }]);
  t.strictSame(rowsOf({ fields: { value }, constants: { value: 'c' } }, { v: '' }), [{ value: 'c' }]);
  t.strictSame(rowsOf({ fields: { value }, constants: { value: 'c' } }, { v: 'x' }), [{ value: 'x' }]);
  t.strictSame(rowsOf({}, { v: 'x' }), [{ value: undefined }]);
});

t.test('labels are joined and split at commas, and constants are added', async (t) => {
  const options = { fields: { value, labels: ['a', 'b'] }, constants: { labels: ['fixed', 'own'] } };
  const labelsOf = (record: object, more: object = {}) =>
    rowsOf({ ...options, ...more }, { v: 'x', ...record })[0]?.labels;
  t.strictSame(labelsOf({ a: 'one, two,,', b: ['three', 'f,our'] }), ['one', 'two', 'three', 'f,our', 'fixed', 'own']);
  t.strictSame(labelsOf({ a: { name: 'tag' }, b: 5 }), [{ name: 'tag' }, 5, 'fixed', 'own']);
  t.strictSame(labelsOf({}), ['fixed', 'own']);
  t.strictSame(labelsOf({ a: 'one,two;three' }, { separator: ';' }), ['one,two', 'three', 'fixed', 'own']);
  t.strictSame(labelsOf({ a: 'one' }, { constants: { labels: 'single' } }), ['one', 'single']);
  t.strictSame(labelsOf({ a: ' , ' }, { constants: {} }), undefined);
});

t.test('techniques and references are joined, and a constant counts only where none is said', async (t) => {
  for (const name of ['techniques', 'references'] as const) {
    const options = { fields: { value, [name]: ['a', 'b'] }, constants: { [name]: 'fixed' } };
    const said = (record: object, more: object = {}) =>
      rowsOf({ ...options, ...more }, { v: 'x', ...record })[0]?.[name];
    t.strictSame(said({ a: 'one,two', b: 'three' }), ['one,two', 'three'], 'nothing is split without a separator');
    t.strictSame(said({ a: 'one|two', b: 'three' }, { separator: '|' }), ['one', 'two', 'three']);
    t.strictSame(said({ a: '' }), ['fixed']);
  }
});

t.test('one separator is for all properties of several values, and each may have its own', async (t) => {
  const fields = { value, labels: 'l', references: 'r', name: 'n' };
  const record = { v: 'a;b', l: 'c,d;e', r: 'f;g', n: 'h;i' };
  const common = { name: 'h;i' };
  t.strictSame(rowsOf({ fields, separator: ';' }, record), [
    { value: 'a', ...common, labels: ['c,d', 'e'], references: ['f', 'g'] },
    { value: 'b', ...common, labels: ['c,d', 'e'], references: ['f', 'g'] },
  ]);
  t.strictSame(rowsOf({ fields, separator: { labels: ';' } }, record), [
    { value: 'a;b', ...common, labels: ['c,d', 'e'], references: ['f;g'] },
  ]);
  t.strictSame(rowsOf({ fields, separator: { value: ';', references: ',' } }, record), [
    { value: 'a', ...common, labels: ['c', 'd;e'], references: ['f;g'] },
    { value: 'b', ...common, labels: ['c', 'd;e'], references: ['f;g'] },
  ]);
});

t.test('words mean what the options say, for their property and in any case', async (t) => {
  const options = {
    fields: { value, type: 't', confidence: 'c', labels: 'l' },
    words: {
      value: { old: 'new' },
      confidence: { High: 90, '2': 50, true: 60 },
      labels: { True: 'compromised-site', False: '', high: 'loud' },
    },
  };
  const rowOf = (record: object) => rowsOf(options, { v: 'x', ...record })[0];
  t.equal(rowOf({ c: ' hIGH ' })?.confidence, 90);
  t.equal(rowOf({ c: 2 })?.confidence, 50, 'a number is a word too');
  t.equal(rowOf({ c: true })?.confidence, 60);
  t.equal(rowOf({ c: 'medium' })?.confidence, 'medium', 'what is not named stays');
  t.equal(rowOf({ c: 'higher' })?.confidence, 'higher');
  t.equal(rowOf({ t: 'High' })?.type, 'High', 'a word of another property');
  t.strictSame(rowOf({ l: 'TRUE,high,x' })?.labels, ['compromised-site', 'loud', 'x']);
  t.strictSame(rowOf({ l: 'false' }), { value: 'x' }, 'empty text says nothing');
  t.strictSame(rowsOf(options, { v: 'OLD' }), [{ value: 'new' }]);
});

t.test('a word that says nothing leaves the next field or the constant', async (t) => {
  const options = { fields: { value, name: ['a', 'b'] }, constants: { name: 'c' }, words: { name: { unknown: '' } } };
  t.equal(rowsOf(options, { v: 'x', a: 'unknown', b: 'said' })[0]?.name, 'said');
  t.equal(rowsOf(options, { v: 'x', a: 'unknown', b: 'Unknown' })[0]?.name, 'c');
});

t.test('what words says of a null word counts', async (t) => {
  const options = { fields: { value, name: 'n', type: 't' }, null_words: [' - '], words: { name: { '-': 'dash' } } };
  t.strictSame(rowsOf(options, { v: 'x', n: '-', t: '-' }), [{ value: 'x', name: 'dash' }]);
});

t.test('names that every object has are words like others', async (t) => {
  const words = JSON.parse('{"name": {"__proto__": "proto", "a": "b"}}');
  const hostile = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];
  for (const word of hostile) {
    const [row] = rowsOf({ fields: { value, name: 'n', labels: 'l' }, words }, { v: word, n: word, l: word });
    t.strictSame(row, { value: word, name: word === '__proto__' ? 'proto' : word, labels: [word] });
  }
  t.strictSame(rowsOf({ fields: { value }, null_words: ['constructor'] }, { v: 'Constructor' }), [
    { value: undefined },
  ]);
  const record = JSON.parse('{"__proto__": "x"}');
  t.strictSame(rowsOf({ fields: { value: '__proto__' } }, record), [{ value: 'x' }]);
});

t.test('objects are passed on as they are', async (t) => {
  const options = { fields: { value, source: 's' }, null_words: ['[object Object]'] };
  const source = { feed_name: 'x' };
  t.strictSame(rowsOf(options, { v: 'x', s: source }), [{ value: 'x', source }]);
  t.equal(rowsOf(options, { v: 'x', s: source })[0]?.source, source);
});

t.test('options hold nothing else, and are bounded', async (t) => {
  const refused: unknown[] = [
    { fields: { values: 'x' } },
    { fields: { value: [] } },
    { fields: { value: 0 } },
    { fields: { value: '' } },
    { fields: { value: Array.from({ length: 17 }, () => 'x') } },
    { constants: { other: 1 } },
    { constants: { labels: [{}] } },
    { words: { name: { x: null } } },
    { words: { other: {} } },
    { separator: '' },
    { separator: { name: ',' } },
    { null_words: [null] },
  ];
  for (const options of refused) t.notOk(Value.Check(schema, options), JSON.stringify(options));
});

t.test('any record gives a row for each value that says something, and one at least', async () => {
  const field = fc.oneof(fc.anything(), fc.constantFrom('', ' ', 'a,b', ',', 'None', '__proto__', null, [], ['', 'x']));
  const options: FieldOptions = {
    fields: { value: ['a', 'b'], labels: ['c'], name: ['a', 'c'] },
    null_words: ['none'],
  };
  fc.assert(
    fc.property(field, field, field, (a, b, c) => {
      const said = [a, b]
        .flat()
        .filter((one) => one !== null && one !== undefined && !/^\s*(?:none)?\s*$/i.test(asText(one)));
      return rowsOf(options, { a, b, c }).length === Math.max(1, said.length);
    }),
  );
});

/** Only text can say nothing. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : 'x';
}

import t from 'tap';
import { mostAcceptable, readRanges } from '../../routes/accept.ts';

t.test('ranges are read with their weights and parameters', async (t) => {
  const read = (field: string | undefined) =>
    readRanges(field).map(({ name, weight, parameters }) => [name, weight, Object.fromEntries(parameters)]);
  t.strictSame(read(undefined), []);
  t.strictSame(read('  '), []);
  t.strictSame(read('Text/CSV ; Q=0.5, */*;q=1.000'), [
    ['text/csv', 0.5, {}],
    ['*/*', 1, {}],
  ]);
  t.strictSame(read('application/taxii+json; version = "2.1" ;q=0'), [
    ['application/taxii+json', 0, { version: '2.1' }],
  ]);
  for (const weight of ['2', '.2', '0.1234', 'nonsense', '']) {
    t.strictSame(read(`gzip;q=${weight}`), [['gzip', null, {}]], `${weight} is no weight`);
  }
  t.equal(read(`${'a/a,'.repeat(1000)}b/b`).length, 1001, 'a long field is read, and not kept');
});

t.test('the best of what is offered; among equals the first', async (t) => {
  const offered = ['application/json', 'text/csv', 'text/plain'];
  const best = (field: string | undefined) => mostAcceptable(field, offered, (type) => [type]);
  for (const [field, expected] of [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/*', 'text/csv'],
    ['text/plain, text/csv', 'text/csv'],
    ['text/plain, text/csv;q=0.9', 'text/plain'],
    ['text/*;q=0.1, text/plain;q=0.2', 'text/plain'],
    ['*/*;q=0.5, application/json;q=0, text/csv;q=0', 'text/plain'],
    // Java's own client.
    ['text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2', 'application/json'],
    ['image/png', null],
    ['*/*;q=0', null],
  ] as const) {
    t.equal(best(field), expected, String(field));
  }
  t.equal(
    mostAcceptable('a/alias', ['x'], () => ['a/a', 'a/alias']),
    'x',
    'by any of its types',
  );
});

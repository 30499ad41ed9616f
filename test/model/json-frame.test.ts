import fc from 'fast-check';
import t from 'tap';
import { frameList } from '../../src/model/json-frame.ts';

t.test('opening, items and closing are what JSON.stringify writes of the whole object', async (t) => {
  const members = fc.dictionary(
    fc.string().filter((name) => name !== 'items' && name !== '__proto__' && !/^\d+$/.test(name)),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(members, fc.array(fc.jsonValue()), (members, items) => {
      const { opening, closing } = frameList(members, 'items');
      const text = opening + items.map((item) => JSON.stringify(item)).join(',') + closing;
      return text === JSON.stringify({ ...members, items });
    }),
  );
  const { opening, closing } = frameList({}, 'objects');
  t.equal(opening + closing, '{"objects":[]}');
});

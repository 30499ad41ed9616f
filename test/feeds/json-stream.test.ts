// slow (10 s): documents of tens of megabytes
import fc from 'fast-check';
import t from 'tap';
import { readJsonStream } from '../../src/feeds/reading/json-stream.ts';
import { readObjects } from '../../src/feeds/stix.ts';
import { hasTooManyValues, type JsonObject } from '../../src/model/json.ts';

/** `text` in pieces of these sizes, over and over. */
async function* pieces(text: string, sizes: readonly number[]): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function membersOf(text: string, sizes: readonly number[] = [], list = ['objects']): Promise<unknown[]> {
  const members: unknown[] = [];
  for await (const parts of readJsonStream('it', pieces(text, sizes), { list, format: 'STIX' })) {
    members.push(...parts.flatMap((part) => ('member' in part ? [part.member] : [])));
  }
  return members;
}

t.test('the stream reader finds what JSON.parse finds, wherever the text is cut into chunks', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
  const indent = fc.constantFrom(0, 1, 2);
  const head = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 });
  const members = fc.array(fc.jsonValue());
  await fc.assert(
    fc.asyncProperty(head, members, head, indent, sizes, async (before, list, after, space, cuts) => {
      const { objects: _, ...rest } = { ...before, ...after } as JsonObject;
      const { objects: __, ...first } = before as JsonObject;
      const text = JSON.stringify({ ...first, objects: list, ...rest }, null, space);
      const found = await membersOf(text, cuts);
      if (JSON.stringify(found) !== JSON.stringify(JSON.parse(text).objects)) throw new Error(text);
      const asList = await membersOf(JSON.stringify(list, null, space), cuts);
      if (JSON.stringify(asList) !== JSON.stringify(list)) throw new Error('as a list');
      const { b: ___, ...inside } = rest as JsonObject;
      const { a: ____, ...around } = first as JsonObject;
      const deep = JSON.stringify({ ...around, a: { ...inside, b: list, c: { b: [1] } }, d: { b: [2] } }, null, space);
      const atEnd = await membersOf(deep, cuts, ['a', 'b']);
      if (JSON.stringify(atEnd) !== JSON.stringify(list)) throw new Error(deep);
    }),
  );
});

const object = (n: number, more: JsonObject = {}): JsonObject => ({ type: 'x-thing', id: `x-thing--${n}`, ...more });
const bundle = JSON.stringify({
  type: 'bundle',
  id: 'bundle--1',
  objects: [object(1, { objects: [1, 2], text: 'a "quoted" \\ ]}, [{' }), object(2, { objects: { 0: [] } })],
});

t.test('a text that is cut at any byte is malformed', async (t) => {
  t.equal((await membersOf(bundle)).length, 2);
  for (let end = 1; end < bundle.length; end += 1) {
    await t.rejects(membersOf(bundle.slice(0, end), [7]), { code: 'upstream-malformed' }, `${end}`);
  }
});

t.test('anything but one comma between members is malformed', async (t) => {
  const texts = [
    '[{} {}]',
    '[{},,{}]',
    '[,{}]',
    '[{},]',
    '{"objects":[{}}',
    '{"objects":[{},]}',
    '[{"a":1}x]',
    '[{]}]',
    ',',
    ']',
    '{"objects":[1 2]}',
  ];
  for (const text of texts) {
    await t.rejects(membersOf(text), { code: 'upstream-malformed' }, text);
    await t.rejects(membersOf(text, [1]), { code: 'upstream-malformed' }, `${text}, byte by byte`);
  }
  t.same(await membersOf('[ {} , 1 , "]" , null , [[]] , -1.5e3 ]', [1]), [{}, 1, ']', null, [[]], -1500]);
});

t.test('`objects` is a list of members only at the root, and only as a name', async (t) => {
  const found = async (text: string) => {
    const values: unknown[] = [];
    for await (const found of readObjects({ name: 'it', body: pieces(text, [5]) })) {
      values.push(...found.map((one) => ('item' in one && 'stix' in one.item ? { value: one.item.stix } : one)));
    }
    return values;
  };
  const nested = object(1, { inner: { objects: [object(2)] }, list: [['objects', [1]]] });
  t.same(await found(JSON.stringify(nested)), [{ value: nested }]);
  const observed = { type: 'observed-data', objects: { 0: { type: 'file' } } };
  t.same(await found(JSON.stringify(observed)), [{ value: observed }], 'as in STIX 2.0');
  t.same(await found(`${JSON.stringify(nested, null, 1)}\n${JSON.stringify([nested], null, 1)}`), [
    { value: nested },
    { value: nested },
  ]);
  t.same(await found('{"type":"bundle","\\u006fbjects":[{"a":1}]}'), [{ value: { a: 1 } }], 'however it is spelt');
  t.same(await found('{"type":"bundle",\n"objects":[]}'), []);
  t.same(await found('{"type":"bundle",\n"objects":[{"a":1}],"objects":[{"b":2}]}'), [
    { value: { a: 1 } },
    { value: { b: 2 } },
  ]);
});

t.test('the size of a member and of a root is bounded, that of a list is not', async (t) => {
  const large = 'x'.repeat(1024 * 1024);
  const many = JSON.stringify(Array.from({ length: 40 }, () => [large]));
  t.equal((await membersOf(many, [65_536])).length, 40);
  await t.rejects(membersOf(JSON.stringify([large.repeat(17)]), [65_536]), { code: 'upstream-too-large' });
  await t.rejects(membersOf(JSON.stringify({ a: large.repeat(17) }), [65_536]), { code: 'upstream-too-large' });
});

t.test('a value that would take too much memory is refused before it is parsed', async (t) => {
  const many = `[${'{},'.repeat(1_000_000)}{}]`;
  await t.rejects(membersOf(`[${many}]`, [65_536]), { code: 'upstream-too-large', message: /1000000 values/ });
  t.equal((await membersOf(many, [65_536])).length, 1_000_001, 'a list of members may be as long as it likes');
  const found: unknown[] = [];
  const lines = `{"type":"a"}\n{"type":"b","list":${many}}\n{"type":"c"}\n`;
  for await (const part of readObjects({ name: 'it', body: pieces(lines, [65_536]) })) found.push(...part);
  t.match(found, [
    { item: { stix: { type: 'a' } } },
    { rejection: { reason: 'too-long' } },
    { item: { stix: { type: 'c' } } },
  ]);
  t.equal(hasTooManyValues(JSON.stringify(','.repeat(900_000))), false);
  t.equal(hasTooManyValues(JSON.stringify(Array(1_000_001).fill(1))), true);
});

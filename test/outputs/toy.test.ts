import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import Type from 'typebox';
import { indicatorsOf } from '../../src/outputs/ioc.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { indicatorEntry } from '../helpers/store.ts';

/**
 * A format is one file and one line in the registry (ARCHITECTURE.md, "Where things go"). This object is such a file, and the assignment
 * below is the line. Everything else is imported afterwards, as it stands.
 */
const toy: Output<{ mark: string; width: number; is_loud: boolean }> = {
  name: 'toy',
  title: 'addresses behind a mark',
  mediaType: 'text/x-toy; charset=utf-8',
  aliases: [],
  extension: 'toy',
  options: Type.Object(
    {
      mark: Type.Enum(['minus', 'plus'], { default: 'plus', description: 'What stands before each address.' }),
      width: Type.Integer({ default: 1, minimum: 1, maximum: 3, description: 'How often it stands there.' }),
      is_loud: Type.Boolean({ default: false, description: 'With an exclamation mark.' }),
    },
    { additionalProperties: false },
  ),
  expressesObjects: false,
  isAppendable: true,
  needs: () => ({ types: ['ipv4'], maximum: 50 }),
  async *write({ slices, tally, options: { mark, width, is_loud } }) {
    for await (const slice of slices) {
      for (const { value, revoked } of indicatorsOf(slice)) {
        if (/[\p{Cc}\u2028]/u.test(value)) {
          tally.notWritable += 1;
          continue;
        }
        const signs = (mark === 'plus' ? '+' : '-').repeat(width);
        yield `${signs}${value}${is_loud ? '!' : ''}${revoked ? ' gone' : ''}\n`;
      }
    }
  },
};
Object.assign(outputs, { toy });

const { openApp } = await import('../helpers/app.ts');
const { makeDocument } = await import('../../openapi/document.ts');
const { sinkKinds } = await import('../../src/sinks/registry.ts');
const { collection, openSink } = await import('../contracts/sink.contract.ts');
const { testOutput } = await import('../contracts/output.contract.ts');

const entries = [
  indicatorEntry({ type: 'ipv4', value: '192.0.2.1' }),
  indicatorEntry({ value: 'a.example' }),
  indicatorEntry({ type: 'ipv4', value: '192.0.2.2' }),
  indicatorEntry({ type: 'cve', value: 'CVE-2026-0001' }),
];

// The contract's values are names: here a document may hold any value, since only its caller leaves types out.
testOutput(t, 'toy', toy, (document) =>
  document
    .split('\n')
    .slice(0, -1)
    .map((line) => line.slice(1).replace(/ gone$/, '')),
);

t.test('by REST: by name and by Accept, with its options, and what it leaves out is counted', async (t) => {
  const { append, ask } = await openApp(t);
  await append(entries);
  const plain = await ask('/api/v1/iocs?format=toy');
  t.equal(plain.statusCode, 200, plain.body);
  t.equal(plain.headers['content-type'], 'text/x-toy; charset=utf-8');
  t.equal(plain.body, '+192.0.2.2\n+192.0.2.1\n', 'newest first');
  t.equal(plain.headers['x-left-out'], '2');
  const marked = await ask('/api/v1/iocs?format=toy&mark=minus&width=3&is_loud=true&type=ipv4');
  t.equal(marked.body, '---192.0.2.2!\n---192.0.2.1!\n');
  t.equal(marked.headers['x-left-out'], undefined, 'nothing that was asked for is left out');
  t.equal((await ask('/api/v1/iocs', { headers: { accept: 'text/x-toy' } })).body, plain.body);
  for (const [query, parameter] of [
    ['format=toy&mark=times', 'mark'],
    ['format=toy&width=4', 'width'],
    ['format=toy&width=two', 'width'],
    ['format=toy&is_loud=yes', 'is_loud'],
    ['format=csv&mark=plus', 'mark'],
    ['mark=plus', 'mark'],
    ['format=toy&comments=true', 'comments'],
    ['format=toy&other=1', 'other'],
  ]) {
    const refused = await ask(`/api/v1/iocs?${query}`);
    t.match([refused.statusCode, refused.json().parameter], [400, parameter], `${query}: ${refused.body}`);
  }
  t.equal((await ask('/api/v1/iocs/stix?format=toy')).statusCode, 400, 'it has no words for other objects');
});

t.test('its page has no more entries than its maximum', async (t) => {
  const { append, ask } = await openApp(t);
  await append(Array.from({ length: 60 }, (_, i) => indicatorEntry({ type: 'ipv4', value: `192.0.2.${i}` })));
  const page = await ask('/api/v1/iocs?format=toy');
  t.equal(page.body.split('\n').length - 1, 50);
  t.match(page.headers['link'], /limit=50&cursor=/, 'the rest follows');
});

t.test('it is in the OpenAPI document', async (t) => {
  const { parameters, responses } = JSON.parse(await makeDocument()).paths['/api/v1/iocs'].get;
  const named = (name: string) => parameters.find((parameter: { name: string }) => parameter.name === name);
  t.ok(named('format').schema.enum.includes('toy'));
  t.strictSame(named('mark').schema.enum, ['minus', 'plus']);
  t.match(named('width').schema, { type: 'integer', minimum: 1, maximum: 3, default: 1 });
  t.ok('text/x-toy' in responses['200'].content);
});

t.test('by a file sink', async (t) => {
  const path = t.testdir();
  const { file } = sinkKinds;
  const bounds = { max_bytes: 1e8, max_files: 3 };
  const check = (options: object) => () =>
    file.check({ path, ...bounds, ...options } as Parameters<typeof file.check>[0]);
  t.doesNotThrow(check({ format: 'toy', mark: 'minus' }));
  t.throws(check({ format: 'toy', width: 9 }), { message: /^width / });
  t.throws(check({ format: 'stix', mark: 'minus' }), { message: /^mark is no option/ });
  const sink = openSink(file, { path, format: 'toy', mark: 'minus', ...bounds }, '.');
  t.teardown(() => sink.close());
  const never = new AbortController().signal;
  t.match(await sink.push(collection, entries, never), { written: 2, unchanged: 2, refused: [] });
  const [first] = entries;
  await sink.push(collection, first === undefined ? [] : [{ ...first, revoked: true }], never);
  t.equal(readFileSync(join(path, 'all.toy'), 'utf8'), '-192.0.2.1\n-192.0.2.2\n-192.0.2.1 gone\n');
});

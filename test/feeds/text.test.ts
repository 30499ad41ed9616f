import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { Value } from 'typebox/value';
import type { FeedItem } from '../../src/feeds/feed.ts';
import { text } from '../../src/feeds/text.ts';
import type { Micros } from '../../src/model/clock.ts';
import { defaultReach, type FeedDefinition } from '../../src/model/definition.ts';
import { formatMicros, parseTimestamp } from '../../src/model/timestamp.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { codeOf, pull } from '../helpers/feed.ts';

/** What the tests compare of a feed: what its rows become, and what was refused for which reason. */
interface Outcome {
  rows: Record<string, unknown>[];
  refused: { reason: string; row: string }[];
}

/** When the fixtures are read: after all that they tell. */
const NOW = parseTimestamp('2026-11-28T00:00:00Z') as Micros;

const feed = { name: 'list', title: 'List', reach: defaultReach } as FeedDefinition;

const writtenIn = (item: FeedItem): string => ('value' in item ? String(item.value) : '');

function outcomeOf(items: readonly FeedItem[], rejected: readonly { reason: string; row: string }[]): Outcome {
  const rows: Outcome['rows'] = [];
  const refused = rejected.map(({ reason, row }) => ({ reason, row }));
  for (const item of items) {
    const read = normalise(item, feed, NOW);
    if (read.kind === 'rejection') refused.push({ reason: read.rejection.reason, row: writtenIn(item) });
    if (read.kind !== 'observations') continue;
    refused.push(...(read.notes ?? []).map(({ reason }) => ({ reason, row: writtenIn(item) })));
    for (const { observable, labels, lastSeen, name, source } of read.observations) {
      const { feed_name: _, ...details } = source;
      const said = {
        ...(lastSeen === null ? {} : { lastSeen: formatMicros(lastSeen) }),
        ...(name === null ? {} : { name }),
        ...details,
      };
      rows.push({ ...observable, ...(labels.length === 0 ? {} : { labels }), ...said });
    }
  }
  return { rows, refused };
}

/** Reads files as one feed, in small pieces. */
async function read(options: object, ...files: (Buffer | string)[]) {
  const filled = Value.Default(text.options, { path: './drop', ...options }) as Parameters<typeof text.defaults>[0];
  text.defaults(filled);
  const { items, rejected, error } = await pull(text, {
    options: filled,
    cursor: null,
    now: () => NOW,
    fetch: () => Promise.reject(new Error('a list on a disk needs no network')),
    files: async () =>
      files.map((file, i) => ({ name: `${i}.txt`, size: file.length, fault: null, body: pieces(Buffer.from(file)) })),
    contributed: async () => null,
    signal: new AbortController().signal,
  });
  return { error, items, rejected, ...outcomeOf(items, rejected) };
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  const size = bytes.length > 1_000_000 ? 65_536 : 1000;
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const fixtures = new URL('../fixtures/feeds/text/', import.meta.url);

for (const name of readdirSync(fixtures)) {
  t.test(`${name}: a list in its publisher's shape gives the rows that it should`, async (t) => {
    const { options, ...expected } = JSON.parse(readFileSync(new URL(`${name}/case.json`, fixtures), 'utf8'));
    const { error, rows, refused } = await read(options, readFileSync(new URL(`${name}/list.txt`, fixtures)));
    t.equal(error, null);
    t.strictSame({ rows, refused }, expected);
  });
}

const utf16 = (content: string, isBigEndian: boolean): Buffer => {
  const bytes = Buffer.from(`\ufeff${content}`, 'utf16le');
  return isBigEndian ? bytes.swap16() : bytes;
};

t.test('a list is read in UTF-8 and UTF-16, with and without a byte order mark, whatever ends its lines', async (t) => {
  const lines = ['# a comment', 'one.example.com', '', 'two.example.com # ü', 'drei.exämple.com'];
  const expected = ['one.example.com', 'two.example.com', 'drei.xn--exmple-cua.com'];
  for (const end of ['\n', '\r\n', '\r']) {
    for (const content of [lines.join(end), `${lines.join(end)}${end}`]) {
      const encoded = [
        Buffer.from(content),
        Buffer.from(`\ufeff${content}`),
        utf16(content, false),
        utf16(content, true),
      ];
      for (const bytes of encoded) {
        const { rows, refused, error } = await read({}, bytes);
        t.equal(error, null);
        t.strictSame([rows.map(({ value }) => value), refused], [expected, []], JSON.stringify(end));
      }
    }
  }
});

t.test('a web page in place of a list is malformed, and its beginning is shown to the operator', async (t) => {
  const pages = [
    '<!DOCTYPE html>\n<html><body>Access denied</body></html>',
    '\n  <html lang="en">\n<title>504 Gateway Time-out</title>',
    '\ufeff<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
  ];
  for (const page of pages) {
    const { error, items } = await read({}, page, 'bad.example.com\n');
    t.equal(codeOf(error), 'upstream-malformed');
    t.match(error, { excerpt: /^<(?:!DOCTYPE|html|\?xml)/ });
    t.same(items, []);
  }
});

t.test('every line is a row or a rejection, whatever bytes a list holds', async () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.ipV4().map((address) => `${address}-${address}`),
    fc.ipV6().map((address) => `${address}-${address}`),
    fc.constantFrom('\0', '__proto__', '=cmd|x', 'a'.repeat(9000), '\ud800', '10.0.0.2-10.0.0.3', '-', '\x1b[31m'),
  );
  const lines = fc
    .array(line.map((text) => text.replace(/[\r\n]/g, ' ')))
    .filter(([first = '']) => !/^\s*</.test(first));
  const options = fc.constantFrom(
    { comments: [] },
    { comments: [], pattern: '(?P<value>.+)' },
    { comments: [], delimiter: '|', fields: { value: 1 } },
  );
  await fc.assert(
    fc.asyncProperty(lines, options, fc.constantFrom('\n', '\r\n', '\r'), async (lines, options, end) => {
      const { error, items, rejected } = await read(options, Buffer.from(lines.join(end)));
      const given = lines.filter((text) => Buffer.from(text).toString().trim() !== '').length;
      if (error !== null || items.length + rejected.length !== given)
        throw new Error(`${given} lines`, { cause: error });
    }),
  );
});

t.test('a line that is too long is refused by itself, however long it is', async (t) => {
  const long = Buffer.alloc(40 * 1024 * 1024, 'x');
  for (const options of [{}, { pattern: '(?P<value>.+)' }, { layout: 'hosts' }, { layout: 'adblock' }]) {
    const list = Buffer.concat([Buffer.from('a.example.com\n'), long, Buffer.from('\nb.example.com')]);
    const { error, rows, refused } = await read(options, list);
    t.equal(error, null);
    t.strictSame(refused, [{ reason: 'too-long', row: '' }]);
    t.equal(rows.length, 2, 'what stands around it is read');
  }
  const { refused } = await read({}, 'y'.repeat(8193));
  t.strictSame(refused, [{ reason: 'too-long', row: 'y'.repeat(2000) }]);
});

t.test(
  'an expression gives a row for each match, by groups that bear the names of fields or are named in fields',
  async (t) => {
    const cases: [object, string, unknown[]][] = [
      [
        { pattern: '(?P<value>[a-z]+[.]example[.]com)' },
        'a.example.com, b.example.com',
        ['a.example.com', 'b.example.com'],
      ],
      [{ pattern: '[0-9.]{7,}' }, 'x 192.0.2.1 y', ['192.0.2.1']],
      [{ pattern: 'ip=([^ ]*)', fields: { value: 1 } }, 'ip=192.0.2.1 host=a', ['192.0.2.1']],
      [{ pattern: '(?P<ip>[0-9.]+)', fields: { value: 'ip' } }, '192.0.2.1', ['192.0.2.1']],
      [{ pattern: '(?P<value>[0-9.]*)' }, '192.0.2.1', ['192.0.2.1']],
      [{ pattern: '^(?P<value>[^#]+)#' }, '192.0.2.1 # note', ['192.0.2.1']],
    ];
    for (const [options, line, values] of cases) {
      const { rows, refused } = await read(options, line);
      t.strictSame([rows.map(({ value }) => value), refused], [values, []], JSON.stringify(options));
    }
    const { rows } = await read(
      { pattern: '(?P<value>\\S+) (?P<port>\\d+) (?P<malware_family>\\w+)' },
      '192.0.2.1 80 Emotet',
    );
    t.match(rows, [{ value: '192.0.2.1', port: 80, malware_family: 'Emotet' }]);
    const { refused } = await read({ pattern: '(?P<value>(a|aa)+)$' }, `${'a'.repeat(8000)}b`);
    t.strictSame(refused[0]?.reason, 'no-value', 'its time grows with the line only');
  },
);

t.test('lines at the beginning are left out in each file, not counting comments and empty lines', async (t) => {
  const { rows, refused } = await read({ skip: 2 }, '# x\n\nh1\n# y\nh2\na.example.com', 'h1\nh2\nb.example.com');
  t.same(
    rows.map(({ value }) => value),
    ['a.example.com', 'b.example.com'],
  );
  t.same(refused, []);
});

t.test('without fields the first field of a line is its value', async (t) => {
  const { rows, refused } = await read({ delimiter: '|' }, 'a.example.com | 7\nb.example.com|8');
  t.same([rows.map(({ value }) => value), refused], [['a.example.com', 'b.example.com'], []]);
});

t.test('comments begin a line or stand behind a space, and are what the configuration names', async (t) => {
  const list =
    'http://a.example.com/#x #y\n;b.example.com\n// c.example.com\nhttp://d.example.com//e\tf // ;#\ne.example.com # x ; y';
  const values = async (options: object) =>
    (await read(options, list)).items.map((item) => 'value' in item && item.value);
  t.strictSame(await values({}), ['http://a.example.com/#x', 'http://d.example.com//e\tf', 'e.example.com']);
  t.strictSame(await values({ comments: ['http'] }), [';b.example.com', '// c.example.com', 'e.example.com # x ; y']);
  t.strictSame((await values({ comments: [] })).length, 5);
});

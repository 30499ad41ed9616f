import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { MAX_LINE, readLines } from '../../src/feeds/reading/lines.ts';
import { unpack } from '../../src/feeds/reading/unpack.ts';
import { checkSource, openSource, type SourceOptions } from '../../src/feeds/source.ts';
import { stix } from '../../src/feeds/stix.ts';
import { Secret } from '../../src/model/secret.ts';
import { openFeedBench, pull } from '../helpers/feed.ts';
import { uuidOf } from '../helpers/store.ts';
import { tarOf } from '../helpers/tar.ts';
import { zipOf } from '../helpers/zip.ts';

const { signal } = new AbortController();

/** `bytes` in pieces of `size`. */
async function* pieces(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The documents in what is called `drop`, each with its content. */
async function unpacked(bytes: Buffer, size?: number, member?: string): Promise<Record<string, string>> {
  const documents: Record<string, string> = {};
  for await (const { name, body } of unpack({ name: 'drop', body: pieces(bytes, size) }, signal, member)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    documents[name] = Buffer.concat(chunks).toString();
  }
  return documents;
}

t.test('a document is unpacked by its first bytes: as it is, gzip, or each file of a zip archive', async (t) => {
  const text = 'one\ntwo\n'.repeat(1000);
  for (const size of [1, 3, 1000, undefined]) {
    t.strictSame(await unpacked(Buffer.from(text), size), { drop: text });
    t.strictSame(await unpacked(gzipSync(text), size), { drop: text });
    const archive = zipOf([
      { name: 'a/', content: '' },
      { name: 'a/one.txt', content: text },
      { name: '__MACOSX/a/._one.txt', content: 'x' },
      { name: 'a/.hidden', content: 'x' },
      { name: 'zwei-ä.txt', content: '' },
    ]);
    t.strictSame(await unpacked(archive, size), { 'drop/a/one.txt': text, 'drop/zwei-ä.txt': '' });
  }
  t.strictSame(await unpacked(Buffer.alloc(0)), { drop: '' });
  t.strictSame(await unpacked(Buffer.from('PK')), { drop: 'PK' });
  t.strictSame(await unpacked(zipOf([])), {}, 'an archive without files holds no document');
});

t.test(
  'a tar archive is unpacked, with and without gzip: its files, whatever their names, and nothing else',
  async (t) => {
    const long = `${'folder/'.repeat(40)}a.txt`;
    const text = 'one\ntwo\n'.repeat(5000);
    const archive = await tarOf([
      { name: 'a', type: 'directory' },
      { name: './one.txt', content: text },
      { name: 'a/empty.txt' },
      { name: 'a/link.txt', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'a/hard.txt', type: 'link', linkname: 'one.txt' },
      { name: 'fifo', type: 'fifo' },
      { name: '._one.txt', content: 'x' },
      { name: '__MACOSX/one.txt', content: 'x' },
      { name: '../../outside.txt', content: 'kept under its name in messages only' },
      { name: long, content: 'long' },
    ]);
    const expected = {
      'drop/./one.txt': text,
      'drop/a/empty.txt': '',
      'drop/../../outside.txt': 'kept under its name in messages only',
      [`drop/${long}`]: 'long',
    };
    for (const size of [1, 511, 1000, 65_536]) {
      t.strictSame(await unpacked(archive, size), expected);
      t.strictSame(await unpacked(gzipSync(archive), size), expected);
    }
    for await (const document of unpack({ name: 'drop', body: pieces(archive) }, signal))
      t.match(document.name, /^drop\//);
    t.pass('files that are not read are passed over');
  },
);

t.test('a tar archive that is damaged, cut or too large is refused', async (t) => {
  const archive = await tarOf([
    { name: 'one.txt', content: 'x'.repeat(2000) },
    { name: 'two.txt', content: 'y' },
  ]);
  const end = archive.length - 1024;
  for (let to = 512; to < end; to += 256) {
    await t.rejects(unpacked(archive.subarray(0, to)), { code: 'upstream-malformed' }, `${to} bytes`);
  }
  await t.rejects(unpacked(archive.subarray(0, end)), { code: 'upstream-malformed', message: /its end is missing/ });
  const damaged = Buffer.from(archive);
  damaged[0] = 0x7a;
  await t.rejects(unpacked(damaged), { code: 'upstream-malformed', message: /^drop is no whole tar: / });
  const huge = Buffer.from(archive);
  huge.write('77777777777', 124);
  await t.rejects(unpacked(huge), { code: 'upstream-malformed' });
  const many = await tarOf(Array.from({ length: 1001 }, (_, n) => ({ name: `${n}` })));
  await t.rejects(unpacked(many), { code: 'upstream-too-large', message: /more than 1000 files/ });
  const zeros = await tarOf([{ name: 'a', content: Buffer.alloc(80 * 1024 * 1024) }]);
  await t.rejects(unpacked(gzipSync(zeros), 65_536), { code: 'upstream-too-large' });
});

t.test('a member is a file of an archive by its name or the end of it', async (t) => {
  const files = [
    { name: 'v1/full.csv', content: 'full' },
    { name: 'v1/recent.csv', content: 'recent' },
    { name: 'LICENSE', content: 'terms' },
  ];
  const tar = await tarOf(files);
  for (const archive of [zipOf(files), tar, gzipSync(tar)]) {
    t.strictSame(await unpacked(archive, 1000, 'v1/full.csv'), { 'drop/v1/full.csv': 'full' });
    t.strictSame(await unpacked(archive, 1000, 'recent.csv'), { 'drop/v1/recent.csv': 'recent' });
    t.strictSame(Object.keys(await unpacked(archive, 1000, '.csv')), ['drop/v1/full.csv', 'drop/v1/recent.csv']);
    await t.rejects(unpacked(archive, 1000, 'other.csv'), {
      code: 'upstream-malformed',
      message: 'drop is no whole archive: it holds no file named other.csv.',
    });
  }
  t.strictSame(
    await unpacked(Buffer.from('plain'), 1000, 'other.csv'),
    { drop: 'plain' },
    'what is no archive has none',
  );
});

t.test('what is damaged, cut or encrypted is malformed', async (t) => {
  const archive = zipOf([{ name: 'one.txt', content: 'content '.repeat(1000) }]);
  for (let end = 4; end < archive.length; end += 7) {
    await t.rejects(unpacked(archive.subarray(0, end)), { code: 'upstream-malformed' }, `${end} bytes`);
  }
  const packed = gzipSync('content '.repeat(1000));
  await t.rejects(unpacked(packed.subarray(0, 30)), { code: 'upstream-malformed', message: /Z_BUF_ERROR/ });
  await t.rejects(unpacked(zipOf([{ name: 'a', content: 'x', checksum: 7 }])), {
    code: 'upstream-malformed',
    message: 'drop is no whole zip: a file in it differs from its checksum.',
  });
  await t.rejects(unpacked(zipOf([{ name: 'a', content: 'x', isEncrypted: true }])), {
    code: 'upstream-malformed',
    message: /it is encrypted/,
  });
  await t.rejects(unpacked(zipOf([{ name: '../a', content: 'x' }])), { code: 'upstream-malformed' });
});

t.test('a decompression bomb is refused, in gzip, in one file of an archive and over all of its files', async (t) => {
  const zeros = Buffer.alloc(40 * 1024 * 1024);
  const refusal = { code: 'upstream-too-large', message: 'drop unpacks to far more than a feed holds.' };
  await t.rejects(unpacked(gzipSync(Buffer.concat([zeros, zeros])), 65_536), refusal);
  await t.rejects(unpacked(zipOf([{ name: 'a', content: Buffer.concat([zeros, zeros]) }])), refusal);
  await t.rejects(
    unpacked(
      zipOf([
        { name: 'a', content: zeros },
        { name: 'b', content: zeros },
      ]),
    ),
    refusal,
  );
  const many = Array.from({ length: 1001 }, (_, n) => ({ name: `${n}`, content: '' }));
  await t.rejects(unpacked(zipOf(many)), { code: 'upstream-too-large', message: /more than 1000 files/ });
});

t.test('a source that is left early, or aborted, is closed', async (t) => {
  let isClosed = false;
  const body = async function* (): AsyncGenerator<Buffer> {
    try {
      for (;;) yield Buffer.alloc(1000, 'x');
    } finally {
      isClosed = true;
    }
  };
  for await (const _ of unpack({ name: 'drop', body: body() }, signal)) break;
  t.ok(isClosed, 'before the document was read');
  const tar = await tarOf([{ name: 'a', content: Buffer.alloc(200_000) }]);
  const stopped = new AbortController();
  const readTar = (async () => {
    for await (const document of unpack({ name: 'drop', body: pieces(tar) }, stopped.signal)) {
      for await (const _ of document.body) stopped.abort(new Error('stopping'));
    }
  })();
  await t.rejects(readTar, { message: 'stopping' }, 'in the middle of an archive');
  const controller = new AbortController();
  const read = (async () => {
    for await (const document of unpack({ name: 'drop', body: body() }, controller.signal)) {
      for await (const _ of document.body) controller.abort(new Error('stopping'));
    }
  })();
  await t.rejects(read, { message: 'stopping' });
});

t.test('lines are what splitting finds, wherever the text is cut into chunks', async (t) => {
  const lines = async (text: string, size: number) => {
    const found: unknown[] = [];
    for await (const some of readLines(pieces(Buffer.from(text), size))) {
      found.push(...some.map(({ number, text: line, isEnded }) => [number, line, isEnded]));
    }
    return found;
  };
  const text = fc.array(fc.constantFrom('\n', '\r\n', '\r', 'a', 'ä', '', ' ')).map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (text, size) => {
      const parts = text.split('\n');
      const expected = parts.map((line, i) => [i + 1, line.replace(/\r$/, ''), i < parts.length - 1]);
      // What stands behind the last line break is a line only if it is something.
      if (parts.at(-1) === '') expected.pop();
      if (JSON.stringify(await lines(text, size)) !== JSON.stringify(expected)) throw new Error(JSON.stringify(text));
    }),
  );
  const long = `a\n${'x'.repeat(MAX_LINE + 1)}\nb\n`;
  t.strictSame(await lines(long, 65_536), [
    [1, 'a', true],
    [2, null, true],
    [3, 'b', true],
  ]);
});

const bundle = (n: number) =>
  JSON.stringify({ type: 'bundle', objects: [{ type: 'x-a', id: `x-a--${uuidOf(String(n))}` }] });

t.test('files, archives and compressed files of a directory are one snapshot', async (t) => {
  const archive = zipOf([
    { name: 'one.json', content: bundle(1) },
    { name: 'two.json', content: bundle(2) },
  ]);
  const base = t.testdir({ drop: { 'a.zip': archive, 'b.json.gz': gzipSync(bundle(3)), 'c.json': bundle(4) } });
  const bench = await openFeedBench(t, stix, { path: './drop' }, { base });
  const { items, batches, error } = await pull(stix, bench.context());
  t.equal(error, null);
  t.equal(batches.length, 1);
  t.same(
    items,
    [1, 2, 3, 4].map((n) => ({ stix: JSON.parse(bundle(n)).objects[0] })),
  );
});

async function serveBundle(t: Test): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.end(bundle(1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

t.test('a key travels as a token, a password, in a header of its own or in the address', async (t) => {
  const { url, requests } = await serveBundle(t);
  const key = new Secret('s3cr=t');
  const cases: [SourceOptions, Record<string, string | undefined>][] = [
    [{ url: `${url}/a.json` }, { authorization: undefined }],
    [{ url: `${url}/a.json`, key }, { authorization: 'Bearer s3cr=t' }],
    [{ url: `${url}/a.json`, key, user: 'me' }, { authorization: `Basic ${btoa('me:s3cr=t')}` }],
    [
      { url: `${url}/a.json`, key, header: 'X-Key' },
      { 'x-key': 's3cr=t', authorization: undefined },
    ],
    [{ url: `${url}/{key}/a.json?k={key}`, key }, { authorization: undefined }],
  ];
  for (const [options, headers] of cases) {
    const bench = await openFeedBench(t, stix, options);
    const { items, error } = await pull(stix, bench.context());
    t.equal(error, null);
    t.equal(items.length, 1);
    for (const [name, value] of Object.entries(headers)) t.equal(requests.at(-1)?.headers[name], value);
  }
  t.equal(requests.at(-1)?.url, '/s3cr%3Dt/a.json?k=s3cr%3Dt');
  const bench = await openFeedBench(t, stix, { url: `${url}/{key}/a.json`, key });
  for await (const document of (await openSource(bench.context(), '*/*'))?.documents ?? []) {
    t.notMatch(document.name, /s3cr/, 'and no message names the address');
  }
});

t.test('options that contradict each other are refused', async (t) => {
  const key = new Secret('k');
  const url = 'https://feeds.example/a.json';
  const cases: [SourceOptions, RegExp][] = [
    [{}, /either path or url/],
    [{ path: 'a', url }, /either path or url/],
    [{ path: 'a', key }, /key goes with url/],
    [{ url, user: 'me' }, /need a key/],
    [{ url, key, user: 'me', header: 'x' }, /without header/],
    [{ url: `${url}?k={key}` }, /needs a key/],
    [{ url: `${url}?k={key}`, key, header: 'x' }, /goes without user, header and scheme/],
  ];
  for (const [options, message] of cases) {
    t.throws(() => checkSource(options), { code: 'config-invalid', message }, JSON.stringify(options));
  }
});

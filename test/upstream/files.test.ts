// slow (2 s): named pipes, which another program makes
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { FeedFile } from '../../src/feeds/feed.ts';
import { createFiles } from '../../src/upstream/files.ts';
import { createReadSemaphore, readWithPermit } from '../../src/upstream/read-semaphore.ts';
import { openGateway } from '../helpers/gateway.ts';

async function textOf({ body }: FeedFile): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function read(base: string, path: string): Promise<Record<string, string>> {
  const files = (await createFiles(base, null).files(path)) ?? [];
  const texts: Record<string, string> = {};
  for (const file of files) texts[file.name] = await textOf(file);
  return texts;
}

function drop(t: Test, content: Record<string, string>): { base: string; dir: string } {
  const base = t.testdir({ drop: content });
  return { base, dir: join(base, 'drop') };
}

t.test('a directory is its finished files by name; a file is itself', async (t) => {
  const { base, dir } = drop(t, {
    'b.json': 'B',
    'a.json': 'A',
    '.hidden': 'x',
    'c.json.part': 'x',
    'd.tmp': 'x',
    e: '',
  });
  mkdirSync(join(dir, 'below'));
  writeFileSync(join(dir, 'below', 'f.json'), 'x');
  const texts = await read(base, './drop');
  t.strictSame(texts, { 'a.json': 'A', 'b.json': 'B', e: '' });
  t.strictSame(Object.keys(texts), ['a.json', 'b.json', 'e'], 'in order');
  t.strictSame(await read(base, 'drop/a.json'), { 'a.json': 'A' });
  t.strictSame(await read('/nowhere', join(dir, 'a.json')), { 'a.json': 'A' }, 'an absolute path needs no base');
});

t.test('what differs in name, size or time is read; what does not is not', async (t) => {
  const { base, dir } = drop(t, { a: 'A', b: 'B' });
  let known: string | null = null;
  const look = async (): Promise<boolean> => {
    const source = createFiles(base, known);
    t.equal(source.fingerprint(), null, 'nothing is known before it was listed');
    const files = await source.files('drop');
    known = source.fingerprint();
    t.equal(source.isUnchanged(), files === null);
    return files !== null;
  };
  t.ok(await look());
  t.notOk(await look(), 'unchanged');
  appendFileSync(join(dir, 'a'), 'more');
  t.ok(await look(), 'grown');
  utimesSync(join(dir, 'a'), 1, 1);
  t.ok(await look(), 'touched');
  renameSync(join(dir, 'a'), join(dir, 'c'));
  t.ok(await look(), 'renamed');
  rmSync(join(dir, 'c'));
  t.ok(await look(), 'removed');
  writeFileSync(join(dir, 'unfinished.part'), 'x');
  t.notOk(await look(), 'what is not finished does not count');
});

t.test('a file that changes while it is read is no content', async (t) => {
  const { base, dir } = drop(t, { a: 'x'.repeat(1_000_000) });
  const changes: [string, (path: string) => void][] = [
    ['grows', (path) => appendFileSync(path, 'y')],
    ['shrinks', (path) => truncateSync(path, 10)],
    [
      'is replaced',
      (path) => {
        writeFileSync(`${path}.tmp`, 'z');
        renameSync(`${path}.tmp`, path);
      },
    ],
  ];
  for (const [name, change] of changes) {
    const path = join(dir, 'a');
    writeFileSync(path, 'x'.repeat(1_000_000));
    const [file] = (await createFiles(base, null).files('drop')) ?? [];
    t.ok(file);
    if (file === undefined) continue;
    if (name === 'is replaced') {
      change(path);
      await t.rejects(textOf(file), { code: 'upstream-failed', message: /changed while it was read/ }, name);
      continue;
    }
    const reading = async (): Promise<void> => {
      let isFirst = true;
      for await (const _ of file.body) {
        if (isFirst) change(path);
        isFirst = false;
      }
    };
    await t.rejects(reading(), { code: 'upstream-failed', message: /changed while it was read/ }, name);
  }
});

t.test('a link inside the directory is a file; one that leads out, or nowhere, costs itself', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  const faults = async (): Promise<Record<string, string | null>> => {
    const files = (await createFiles(base, null).files('drop')) ?? [];
    return Object.fromEntries(files.map(({ name, fault }) => [name, fault]));
  };
  writeFileSync(join(base, 'secret'), 'S');
  symlinkSync('a', join(dir, 'link'));
  t.strictSame(await read(base, 'drop'), { a: 'A', link: 'A' });
  for (const target of ['../secret', join(base, 'secret'), '/etc/hostname', '..']) {
    symlinkSync(target, join(dir, 'out'));
    t.strictSame(await read(base, 'drop'), { a: 'A', link: 'A', out: '' }, target);
    t.match(await faults(), { a: null, link: null, out: /leads out of the directory/ }, target);
    rmSync(join(dir, 'out'));
  }
  symlinkSync('gone', join(dir, 'dangling'));
  symlinkSync('loop', join(dir, 'loop'));
  t.match(await faults(), { a: null, link: null, dangling: /ENOENT/, loop: /ELOOP/ });
  const before = createFiles(base, null);
  await before.files('drop');
  writeFileSync(join(dir, 'gone'), 'G');
  const after = createFiles(base, before.fingerprint());
  t.not(await after.files('drop'), null, 'a link that leads somewhere now is news');
});

t.test('what costs itself is among the rejections, and the rest of the directory is served', async (t) => {
  const row = {
    type: 'indicator',
    spec_version: '2.1',
    id: 'indicator--00000000-0000-4000-8000-000000000001',
    created: '2026-01-01T00:00:00.000Z',
    modified: '2026-01-01T00:00:00.000Z',
    valid_from: '2026-01-01T00:00:00.000Z',
    pattern_type: 'stix',
    pattern: "[ipv4-addr:value = '198.51.100.1']",
  };
  const { base, dir } = drop(t, { 'a.json': JSON.stringify(row) });
  symlinkSync('gone', join(dir, 'broken.json'));
  const yaml = 'data: ./data\nfeeds: { drop: { format: stix, path: ./drop } }\npools: { p: { feeds: [drop] } }\n';
  const { side } = await openGateway(t, base, `${yaml}collections: { all: { pool: p } }\n`);
  t.match(await side.poll('drop'), { outcome: 'whole', accepted: 1, rejected: 1 });
  t.match(await side.rejections('drop', 10), { rows: [{ reason: 'unreadable-file', row: 'broken.json' }] });
});

t.test('a name that is no UTF-8 is a name like any other', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  const name = Buffer.from([0x62, 0xff, 0x62]);
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), 'B');
  t.strictSame(await read(base, 'drop'), { a: 'A', 'b\ufffdb': 'B' });
});

t.test('a link that is put in a listed file’s place is not followed', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  writeFileSync(join(base, 'secret'), 'S');
  const [file] = (await createFiles(base, null).files('drop')) ?? [];
  rmSync(join(dir, 'a'));
  symlinkSync('../secret', join(dir, 'a'));
  await t.rejects(textOf(file as FeedFile), { code: 'upstream-failed', message: /ELOOP/ });
});

t.test('the directory itself may be a link: whoever configured it meant it', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  symlinkSync(dir, join(base, 'current'));
  t.strictSame(await read(base, 'current'), { a: 'A' });
});

t.test('what is no file is refused or passed over, and nothing waits for it', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  t.strictSame(await read(base, 'drop'), { a: 'A' });
  await t.rejects(read(base, 'drop/pipe'), { code: 'upstream-failed', message: /neither a file nor a directory/ });
  await t.rejects(read(base, 'missing'), { code: 'upstream-failed', message: "missing can't be read (ENOENT)." });
  await t.rejects(read(base, 'drop/a/b'), { code: 'upstream-failed', message: /ENOTDIR/ });
});

t.test('errors name files as the configuration does, never where they lie', async (t) => {
  const { base } = drop(t, {});
  for (const path of ['missing', './missing', 'drop/missing']) {
    const error = await read(base, path).catch((error: unknown) => error as Error);
    t.notMatch((error as Error).message, base);
    t.equal((error as Error).cause, undefined, 'nor through a cause');
  }
});

t.test('a directory of more files than anybody means is refused', async (t) => {
  const { base, dir } = drop(t, {});
  for (let i = 0; i <= 10_000; i += 1) writeFileSync(join(dir, String(i)), '');
  await t.rejects(read(base, 'drop'), { code: 'upstream-too-large', message: /more than 10000 files/ });
});

t.test('only so many polls hold data that is not committed, however many feeds are read at once', async (t) => {
  const stop = new AbortController();
  const open = createReadSemaphore(stop.signal, 2);
  const polls = ['a', 'b', 'c', 'd'].map((name) => ({ name, permit: open() }));
  const begun: string[] = [];
  const body = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x');
    yield Buffer.from('y');
  };
  const readings = polls.map(async ({ name, permit }) => {
    for await (const _ of readWithPermit(permit, body())) begun.push(name);
  });
  const flush = () => new Promise(setImmediate);
  await flush();
  t.same(begun.toSorted(), ['a', 'a', 'b', 'b']);
  polls[0]?.permit.release();
  polls[0]?.permit.release();
  await flush();
  t.same(begun.slice(4), ['c', 'c'], 'the longest waiting poll is next, and no permit is released twice');
  stop.abort(new Error('stopping'));
  await t.rejects(readings[3] as Promise<void>, { message: 'stopping' });
  polls[1]?.permit.release();
  polls[3]?.permit.release();
  await t.rejects(open().acquire(), { message: 'stopping' });
});

t.test('a poll that waits for bytes gives its permit to a poll that waits for one, and loses nothing', async (t) => {
  const stop = new AbortController();
  let ask = Promise.withResolvers<void>();
  const open = createReadSemaphore(stop.signal, 1, () => ask.promise);
  const flush = () => new Promise(setImmediate);
  const dripped = Promise.withResolvers<void>();
  const told: string[] = [];
  const read = async (name: string, body: AsyncIterable<Uint8Array>, isLate = false): Promise<void> => {
    const permit = open();
    for await (const piece of readWithPermit(permit, body)) {
      told.push(`${name}${piece.length}`);
      // The batch is committed.
      if (piece.length === 0 && !isLate) permit.release();
    }
    permit.release();
  };
  const drip = read(
    'drip',
    (async function* () {
      yield Buffer.alloc(2);
      await dripped.promise;
      yield Buffer.alloc(3);
    })(),
  );
  await flush();
  const quick = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(1);
  };
  const file = read('file', quick());
  await flush();
  t.same(told, ['drip2'], 'the permit is taken, and the other poll waits');
  ask.resolve();
  ask = Promise.withResolvers();
  await file;
  t.same(told, ['drip2', 'drip0', 'file1'], 'what came is committed, and the permit is free');
  const other = read('other', quick());
  await other;
  dripped.resolve();
  await drip;
  t.same(told.slice(3), ['other1', 'drip3'], 'no poll waits for the slow upstream, which goes on where it was');
});

t.test('a body that is not read to its end, or breaks, is closed once', async (t) => {
  const permit = createReadSemaphore(new AbortController().signal)();
  let closed = 0;
  const body = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.alloc(1);
      throw new Error('broken');
    } finally {
      closed += 1;
    }
  };
  for await (const _ of readWithPermit(permit, body())) break;
  t.equal(closed, 1);
  await t.rejects(
    (async () => {
      for await (const _ of readWithPermit(permit, body()));
    })(),
    { message: 'broken' },
  );
  t.equal(closed, 2);
});

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

t.test('a directory lists its finished files by name; a file is listed alone', async (t) => {
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

t.test('files are read when a name, size or time differs, else they are unchanged', async (t) => {
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

t.test('a file that changes while it is read is refused', async (t) => {
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

t.test(
  'a link inside the directory is read; one that leads out of it or is broken is listed with a fault',
  async (t) => {
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
  },
);

t.test('a file with a fault is rejected, and the rest of the directory is served', async (t) => {
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

t.test('a link that replaces a listed file is not followed', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  writeFileSync(join(base, 'secret'), 'S');
  const [file] = (await createFiles(base, null).files('drop')) ?? [];
  rmSync(join(dir, 'a'));
  symlinkSync('../secret', join(dir, 'a'));
  await t.rejects(textOf(file as FeedFile), { code: 'upstream-failed', message: /ELOOP/ });
});

t.test('the configured directory itself may be a link', async (t) => {
  const { base, dir } = drop(t, { a: 'A' });
  symlinkSync(dir, join(base, 'current'));
  t.strictSame(await read(base, 'current'), { a: 'A' });
});

t.test('what is no file is refused or skipped, without waiting for it', async (t) => {
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

t.test('a directory of too many files is refused', async (t) => {
  const { base, dir } = drop(t, {});
  for (let i = 0; i <= 10_000; i += 1) writeFileSync(join(dir, String(i)), '');
  await t.rejects(read(base, 'drop'), { code: 'upstream-too-large', message: /more than 10000 files/ });
});

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ListRequest } from '../../src/lists/build.ts';
import { openBuilds } from '../../src/lists/builds.ts';
import { readOptions } from '../../src/outputs/options.ts';
import { outputs } from '../../src/outputs/registry.ts';
import type { Reader } from '../../src/store/store.ts';
import { collection } from '../helpers/app.ts';
import { listOf } from '../helpers/lists.ts';
import { appendEntries, indicatorEntry, openJournalStore } from '../helpers/store.ts';

const requestOf = (changes: Partial<ListRequest> = {}): ListRequest => ({
  list: listOf({ format: 'rpz', options: readOptions(outputs.rpz, {}) }),
  page: 1,
  collection: collection('all'),
  output: outputs.rpz,
  credits: [],
  ...changes,
});

async function openWith(t: Test) {
  const store = await openJournalStore(t);
  const directory = join(store.location, 'lists');
  const errors: unknown[] = [];
  const open = (reader: Partial<Reader> = {}) =>
    openBuilds({
      store: { ...store.reader, ...reader },
      clock: store.clock,
      directory,
      identityId: 'identity--1',
      onError: (error) => errors.push(error),
    });
  const append = (value: string) =>
    store.writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry({ value })]));
  return { ...store, directory, open, append, errors };
}

const serialOf = (text: string): number => Number(/hostmaster\.localhost\. (\d+) /.exec(text)?.[1]);

t.test('the serial of a zone rises when its content changes, and only then, over restarts too', async (t) => {
  const { open, append, clock, writer } = await openWith(t);
  let builds = open();
  const read = async () => readFileSync(builds.pathOf(await builds.read(requestOf()), false), 'utf8');
  await append('a.example');
  const first = await read();
  await clock.advance(60_000);
  await writer.transaction((tx) =>
    appendEntries(tx, 'pool:main', [indicatorEntry({ type: 'md5', value: 'a'.repeat(32) })]),
  );
  t.equal(await read(), first, 'a hash is not in it');
  builds = open();
  t.equal(await read(), first, 'after a restart');
  await append('b.example');
  const second = await read();
  t.equal(serialOf(second), serialOf(first) + 60);
  await append('c.example');
  t.equal(serialOf(await read()), serialOf(first) + 61, 'twice in a second');
  clock.set(0);
  await append('d.example');
  t.equal(serialOf(await read()), serialOf(first) + 62, 'and when the clock was set back');
});

t.test('equal requests at a time make one build, and a journal that stands still none', async (t) => {
  const { open, append, reader } = await openWith(t);
  let snapshots = 0;
  const snapshot = () => {
    snapshots += 1;
    return reader.snapshot();
  };
  const builds = open({ snapshot });
  await append('a.example');
  await Promise.all([1, 2, 3].map(() => builds.read(requestOf())));
  await builds.read(requestOf());
  t.equal(snapshots, 1);
  await builds.read(requestOf({ page: 2 }));
  t.equal(snapshots, 2, 'another page is another build');
});

t.test('a build that fails, or takes long, is answered with the last good one', async (t) => {
  const { open, append, reader, clock, errors } = await openWith(t);
  let snapshot: Reader['snapshot'] = () => reader.snapshot();
  const builds = open({ snapshot: () => snapshot() });
  await t.rejects(
    (async () => {
      snapshot = async () => Promise.reject(new Error('no store'));
      await builds.read(requestOf());
    })(),
    { message: 'no store' },
    'there is none yet',
  );
  snapshot = () => reader.snapshot();
  await append('a.example');
  const good = await builds.read(requestOf());
  await append('b.example');
  snapshot = async () => Promise.reject(new Error('no store'));
  t.equal(await builds.read(requestOf()), good);
  t.match(errors, [{ message: 'no store' }]);
  const gate = Promise.withResolvers<void>();
  snapshot = async () => {
    await gate.promise;
    return reader.snapshot();
  };
  const late = builds.read(requestOf());
  while (clock.sleepers() === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(2000);
  t.equal(await late, good, 'nobody waits longer');
  const next = builds.read(requestOf());
  gate.resolve();
  t.equal((await next).total, 4, 'the new one is there for the next reader');
});

t.test('a file stays until its list has changed twice; what is not known is removed at the start', async (t) => {
  const { open, append, directory } = await openWith(t);
  const builds = open();
  await append('a.example');
  const first = builds.pathOf(await builds.read(requestOf()), true);
  await append('b.example');
  await builds.read(requestOf());
  t.ok(existsSync(first), 'somebody may be about to read it');
  await append('c.example');
  await builds.read(requestOf());
  t.notOk(existsSync(first));
  for (const name of ['x.new', 'y.json', 'z']) writeFileSync(join(directory, name), '{');
  open();
  const known = readdirSync(directory);
  t.equal(known.length, 3, known.join());
});

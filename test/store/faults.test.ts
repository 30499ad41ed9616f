// slow (16 s): full disks, and processes that are killed
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import type { StoreFault } from '../../src/model/error.ts';
import { Commits } from '../../src/store/commits.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { mountDisk } from '../helpers/disk.ts';
import { openGateway, readAll, type TestGateway } from '../helpers/gateway.ts';
import { START, storeIn } from '../helpers/store.ts';

/** What happens to the disk and the file below a store: each fault is told by its name, and what was kept is served. */
const FILE = 'sluice.db';
const never = new AbortController().signal;

const yaml = (data: string) => `
data: ${JSON.stringify(data)}
metrics: { public: true }
feeds: { drop: { format: stix, path: ./drop, tlp: green, every: 1h, shrink_guard: "off" } }
pools: { main: { feeds: [drop] } }
collections: { all: { pool: main } }
`;

function write(dir: string, from: number, to: number): void {
  const objects = Array.from({ length: to - from }, (_, i) => ({
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--00000000-0000-4000-8000-${String(from + i).padStart(12, '0')}`,
    created: '2025-12-01T00:00:00.000Z',
    modified: '2025-12-01T00:00:00.000Z',
    valid_from: '2025-12-01T00:00:00.000Z',
    pattern: `[domain-name:value = 'h${from + i}.example']`,
    pattern_type: 'stix',
    description: 'x'.repeat(500),
  }));
  mkdirSync(join(dir, 'drop'), { recursive: true });
  const bundle = { type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000000', objects };
  writeFileSync(join(dir, 'drop', `${from}.json`), JSON.stringify(bundle));
}

async function served(gateway: TestGateway): Promise<number> {
  return (await readAll(gateway, 'all')).filter(({ type }) => type === 'indicator').length;
}

async function ask(gateway: TestGateway, url: string) {
  return gateway.app.inject({ url });
}

t.test('a full disk: told by its name everywhere, nothing is lost, and it goes on when there is room', async (t) => {
  const disk = mountDisk(t, '3m');
  if (disk === null) {
    t.comment('skipped: only root on Linux can mount a small disk');
    return void t.pass('no small disk', { skip: 'only root on Linux can mount a small disk' });
  }
  const dir = t.testdir();
  const clock = scriptedClock(START, { auto: true });
  const faults: (StoreFault | null)[] = [];
  const gateway = await openGateway(t, dir, yaml(disk.path), { clock, onStoreFault: (fault) => faults.push(fault) });
  write(dir, 0, 100);
  t.equal((await gateway.side.poll('drop')).outcome, 'whole');
  write(dir, 100, 8000);
  const failed = await gateway.side.poll('drop');
  t.match(failed, { outcome: 'failed', error: { code: 'store-full', message: /SQLITE_FULL/ } });
  t.equal((await gateway.side.status()).storeFault, 'store-full');
  t.same(faults, ['store-full']);
  t.match((await ask(gateway, '/metrics')).body, 'sluice_store_fault{fault="store-full"} 1');
  const ready = await ask(gateway, '/readyz');
  t.equal(ready.statusCode, 200, 'readers are served');
  t.same(ready.json(), { status: 'ready', degraded: 'store-full' });
  t.ok((await served(gateway)) >= 100, 'what was kept is served');

  disk.resize('200m');
  t.equal((await gateway.side.poll('drop')).outcome, 'whole');
  t.equal(await served(gateway), 8000);
  t.equal((await gateway.side.status()).storeFault, null);
  t.same(faults, ['store-full', null]);
  t.match((await ask(gateway, '/metrics')).body, 'sluice_store_fault{fault="store-full"} 0');
  t.same((await ask(gateway, '/readyz')).json(), { status: 'ready' });
});

/** Overwrites every other page in the second half of a file: rows lie there, and nothing that opening it reads. */
function damage(file: string): void {
  const handle = openSync(file, 'r+');
  const { size } = statSync(file);
  for (let at = 8192 * Math.ceil(size / 8192 / 2); at < size; at += 8192 * 2)
    writeSync(handle, Buffer.alloc(8192, 0xa5), 0, 8192, at);
  closeSync(handle);
}

t.test('a damaged store: found at the start, before anybody asks for what is lost, and not ready', async (t) => {
  const dir = t.testdir();
  write(dir, 0, 2000);
  const first = await openGateway(t, dir, yaml('./data'), { clock: scriptedClock(START, { auto: true }) });
  t.equal((await first.side.poll('drop')).outcome, 'whole');
  t.equal(await storeIn(join(dir, 'data')).check(never), null, 'a sound store has nothing to complain of');
  await first.close();
  damage(join(dir, 'data', FILE));
  t.type(await storeIn(join(dir, 'data')).check(never), 'string');

  const commits = new Commits();
  const reader = await storeIn(join(dir, 'data')).openReader(commits);
  t.teardown(() => reader.close());
  const filter = { journal: 'pool:main', observableTypes: null, stixTypes: null, objectIds: null };
  const versions = { last: true, first: false, all: false, exact: [] };
  await t.rejects(reader.page({ ...filter, versions, after: 0, limit: 5000 }), { code: 'store-damaged' });
  t.equal(reader.fault(), 'store-damaged', 'who meets it says so');
  commits.hasRoom();
  t.equal(reader.fault(), 'store-damaged', 'room mends nothing');
});

t.test('serve looks through its store at the start', async (t) => {
  const dir = t.testdir();
  write(dir, 0, 2000);
  const first = await openGateway(t, dir, yaml('./data'), { clock: scriptedClock(START, { auto: true }) });
  await first.side.poll('drop');
  await first.close();
  // The last pages are of no table that a start reads.
  const file = join(dir, 'data', FILE);
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(8192, 0xa5), 0, 8192, statSync(file).size - 8192 * 2);
  closeSync(handle);
  const found = Promise.withResolvers<StoreFault | null>();
  const errors: unknown[] = [];
  const gateway = await openGateway(t, dir, yaml('./data'), {
    clock: scriptedClock(START, { auto: false }),
    onStoreFault: found.resolve,
    onError: (error) => errors.push(error),
  });
  t.equal((await ask(gateway, '/readyz')).statusCode, 200);
  gateway.side.start();
  t.equal(await Promise.race([found.promise, wait(60_000, 'nothing was found', { ref: false })]), 'store-damaged');
  const { statusCode, body } = await ask(gateway, '/readyz');
  t.equal(statusCode, 503);
  t.match(JSON.parse(body), { reason: 'store-damaged' });
  t.equal((await gateway.side.status()).storeFault, 'store-damaged');
  t.match(errors, [{ code: 'store-damaged' }]);
});

t.test('an empty store beside traces of an old one is refused, and nothing is made in its place', async (t) => {
  const dir = t.testdir();
  const open = (name: string) => storeIn(join(dir, name)).openWriter(scriptedClock(START));
  const make = (name: string, files: Record<string, string>): void => {
    mkdirSync(join(dir, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, name, file), text);
  };
  make('empty', { [FILE]: '', 'initial.key': 'sluice_key' });
  make('log', { [FILE]: '', [`${FILE}-wal`]: 'frames' });
  make('log-alone', { [`${FILE}-wal`]: 'frames' });
  for (const name of ['empty', 'log', 'log-alone']) {
    await t.rejects(open(name), { code: 'store-damaged', message: /shows that there was one/ }, name);
  }
  t.notOk(existsSync(join(dir, 'log-alone', FILE)));
  t.equal(statSync(join(dir, 'empty', FILE)).size, 0);
  // A start that was killed before SQLite wrote, and a key that stands there before the store.
  make('killed', { [FILE]: '' });
  make('key', { 'initial.key': 'sluice_key' });
  for (const name of ['killed', 'key']) await (await open(name)).close();
  const whole = await open('whole');
  await whole.close();
  writeFileSync(join(dir, 'whole', 'initial.key'), 'sluice_key');
  truncateSync(join(dir, 'whole', FILE));
  await t.rejects(open('whole'), { code: 'store-damaged' }, 'cut off');
});

t.test('the store itself lets no other process in, whatever became of the lock of its directory', async (t) => {
  const dir = t.testdir();
  const writer = await storeIn(dir).openWriter(scriptedClock(START));
  const engine = new URL('../../src/store/sqlite/engine.ts', import.meta.url).href;
  const clock = new URL('../../src/model/clock.ts', import.meta.url).href;
  const code = `import { sqlite } from ${JSON.stringify(engine)}; import { systemClock } from ${JSON.stringify(clock)};
    const say = (error) => console.log(error.code ?? error.message);
    const store = sqlite.at({}, { base: '.', data: ${JSON.stringify(dir)} });
    await store.openWriter(systemClock).then((writer) => writer.close().then(() => console.log('in')), say);
    await store.openReader().then((reader) => reader.close().then(() => console.log('in')), say);`;
  const other = () =>
    spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' }).stdout.trim().split('\n');
  t.same(other(), ['data-locked', 'data-locked']);
  await writer.transaction((tx) => tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' }));
  await writer.close();
  t.same(other(), ['in', 'in'], 'it ends with the process, or with the store');
});

// slow (1 s): a process of its own
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { lockDirectory } from '../../src/store/sqlite/lock.ts';

/** A process that holds the lock of `dir` until it is killed. */
async function holdLock(dir: string): Promise<ChildProcess> {
  const lock = new URL('../../src/store/sqlite/lock.ts', import.meta.url).href;
  // What is returned is dropped, and the garbage collected: the lock must not go with it.
  const code = `import { lockDirectory } from ${JSON.stringify(lock)}; lockDirectory(${JSON.stringify(dir)});
    for (let i = 0; i < 3; i += 1) { gc(); await new Promise(setImmediate); } console.log('held'); process.stdin.resume();`;
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', code], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

t.test('one process at a time has the data directory, and a killed one lets go of it', async (t) => {
  const dir = join(t.testdir(), 'a', 'data');
  const child = await holdLock(dir);
  t.equal(statSync(dir).mode & 0o777, 0o700, 'made for the owner alone');
  t.throws(() => lockDirectory(dir), { code: 'data-locked', message: `Another process is using ${dir}.` });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = lockDirectory(dir);
  t.throws(() => lockDirectory(dir), { code: 'data-locked' }, 'within a process as well');
  lock.release();
  lock.release();
  lockDirectory(dir).release();
  t.strictSame(readdirSync(dir), ['lock'], 'nothing stale is left');
});

t.test('a data directory that cannot be is told in words', async (t) => {
  const dir = t.testdir({ file: 'x', taken: { lock: {} } });
  for (const data of [join(dir, 'file'), join(dir, 'file', 'below'), join(dir, 'taken')]) {
    t.throws(() => lockDirectory(data), {
      code: 'store-failed',
      message: new RegExp(`^The data directory ${data} cannot be used: `),
    });
  }
  if (process.platform === 'linux') t.throws(() => lockDirectory('/proc/none/data'), { code: 'store-failed' });
});

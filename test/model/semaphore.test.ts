import t from 'tap';
import { createSemaphore } from '../../src/model/semaphore.ts';

const settle = () => new Promise(setImmediate);

t.test('no more tasks run than there are permits, and the others follow in the order they came', async (t) => {
  const semaphore = createSemaphore(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const tasks = ends.map(({ promise }, i) =>
    semaphore.run(async () => {
      begun.push(i);
      await promise;
      return i;
    }),
  );
  await settle();
  t.same(begun, [0, 1]);
  t.equal(semaphore.waiting, 3);
  ends[1]?.resolve();
  const late = semaphore.run(async () => void begun.push(5));
  await settle();
  t.same(begun, [0, 1, 2], 'a task that comes at that moment does not overtake those that wait');
  for (const { resolve } of ends) resolve();
  t.same(await Promise.all(tasks), [0, 1, 2, 3, 4]);
  await late;
  t.same(begun, [0, 1, 2, 3, 4, 5]);
  t.equal(semaphore.waiting, 0);
});

t.test('a task that fails gives its permit back', async (t) => {
  const semaphore = createSemaphore(1);
  await t.rejects(
    semaphore.run(async () => {
      throw new Error('failed');
    }),
    { message: 'failed' },
  );
  t.equal(await semaphore.run(async () => 1), 1);
});

t.test('a task that is aborted while it waits leaves the queue, and takes no permit', async (t) => {
  const semaphore = createSemaphore(1);
  await semaphore.acquire();
  const stop = new AbortController();
  const aborted = semaphore.acquire(stop.signal);
  const next = semaphore.acquire();
  stop.abort(new Error('stopping'));
  await t.rejects(aborted, { message: 'stopping' });
  t.equal(semaphore.waiting, 1);
  await t.rejects(semaphore.acquire(stop.signal), { message: 'stopping' }, 'nor does one that comes later');
  semaphore.release();
  await next;
  semaphore.release();
  await semaphore.acquire();
  t.equal(semaphore.waiting, 0);
});

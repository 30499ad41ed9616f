import t from 'tap';
import { createReadSemaphore, readWithPermit } from '../../src/upstream/read-semaphore.ts';

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
  const pieces: string[] = [];
  const read = async (name: string, body: AsyncIterable<Uint8Array>, isLate = false): Promise<void> => {
    const permit = open();
    for await (const piece of readWithPermit(permit, body)) {
      pieces.push(`${name}${piece.length}`);
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
  t.same(pieces, ['drip2'], 'the permit is taken, and the other poll waits');
  ask.resolve();
  ask = Promise.withResolvers();
  await file;
  t.same(pieces, ['drip2', 'drip0', 'file1'], 'what came is committed, and the permit is free');
  const other = read('other', quick());
  await other;
  dripped.resolve();
  await drip;
  t.same(pieces.slice(3), ['other1', 'drip3'], 'no poll waits for the slow upstream, which goes on where it was');
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

import { createSemaphore } from '../model/semaphore.ts';

/**
 * Bounds how many polls hold data that is read and not yet committed. A batch takes tens of megabytes from its first byte to its
 * commit, and the writer's heap is bounded. A poll takes a permit with the first byte that it reads, and releases it with the commit;
 * waiting for an upstream, a budget or the start of an answer needs none. A poll that waits for further bytes while other polls wait
 * for a permit is asked to commit what it has and to release its permit until they come: a slow upstream keeps no other feed from
 * being read.
 */
const PERMITS = 3;
/** Milliseconds that a poll waits for a permit before it asks for one, and between two such requests. */
const ASK_AFTER_MS = 250;

/** The permit of one poll. */
export interface ReadPermit {
  /** Resolves once this poll may read on; at once while it holds the permit. Rejects with the signal's reason. */
  acquire(): Promise<void>;
  /** What was read is committed or given up. Does nothing without a permit. */
  release(): void;
  /** Waits for `arrival`. Returns true when another poll asks for this poll's permit before that. */
  isAskedForBefore(arrival: Promise<unknown>): Promise<boolean>;
}

/** Returns a function that makes the permit of a poll. `pause` is the time before waiting polls ask for a permit. */
export function createReadSemaphore(signal: AbortSignal, permits = PERMITS, pause = askAfter): () => ReadPermit {
  const semaphore = createSemaphore(permits);
  /** Called to ask for a permit whose poll waits for bytes. */
  const idle = new Set<() => void>();
  let isAsking = false;
  const askIdle = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    while (semaphore.waiting > 0 && !signal.aborted) {
      await pause();
      if (semaphore.waiting > 0) for (const ask of idle) ask();
    }
    isAsking = false;
  };
  const acquire = (): Promise<void> => {
    const acquired = semaphore.acquire(signal);
    void askIdle();
    return acquired;
  };
  return () => {
    let acquired: Promise<void> | null = null;
    return {
      acquire() {
        acquired ??= acquire();
        return acquired;
      },
      release() {
        acquired?.then(semaphore.release, () => undefined);
        acquired = null;
      },
      async isAskedForBefore(arrival) {
        if (acquired === null) return false;
        const { promise, resolve } = Promise.withResolvers<boolean>();
        const ask = (): void => resolve(true);
        const stop = (): void => resolve(false);
        idle.add(ask);
        arrival.then(stop, stop);
        try {
          return await promise;
        } finally {
          idle.delete(ask);
        }
      },
    };
  };
}

/** Not by a Clock that a test moves: what is waited for is the network. */
function askAfter(): Promise<void> {
  return new Promise((resolve) => {
    AbortSignal.timeout(ASK_AFTER_MS).addEventListener('abort', () => resolve());
  });
}

const NO_BYTES = new Uint8Array(0);

/**
 * Yields the same bytes, read with the permit. Yields an empty piece when no bytes come and the permit is asked for
 * (feeds/feed.ts, FeedResponse.body).
 */
export async function* readWithPermit(permit: ReadPermit, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const next = pieces.next();
      if (await permit.isAskedForBefore(next)) yield NO_BYTES;
      const piece = await next;
      isOver = piece.done === true;
      if (piece.done) return;
      await permit.acquire();
      yield piece.value;
    }
  } catch (error) {
    isOver = true;
    throw error;
  } finally {
    if (!isOver) await pieces.return?.();
  }
}

/** At most a fixed number of tasks at a time. Further ones wait in the order in which they came. */
export interface Semaphore {
  /**
   * Resolves with a permit, which `release` gives back. Rejects with the signal's reason when it is aborted first; no permit is
   * held then.
   */
  acquire(signal?: AbortSignal): Promise<void>;
  /** Passes a permit on to the task that has waited longest. Call it once for each permit. */
  release(): void;
  /** Runs `work` with a permit, which is released however it ends. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Number of tasks that wait for a permit. */
  readonly waiting: number;
}

export function createSemaphore(permits: number): Semaphore {
  let free = permits;
  /** In the order of insertion. */
  const queue = new Set<() => void>();
  const semaphore: Semaphore = {
    async acquire(signal) {
      signal?.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return;
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = (): void => {
        if (queue.delete(resolve)) reject(signal?.reason);
      };
      queue.add(resolve);
      signal?.addEventListener('abort', abort, { once: true });
      await promise.finally(() => signal?.removeEventListener('abort', abort));
    },
    release() {
      const [next] = queue;
      if (next === undefined) {
        free += 1;
        return;
      }
      queue.delete(next);
      next();
    },
    async run(work) {
      await semaphore.acquire();
      try {
        return await work();
      } finally {
        semaphore.release();
      }
    },
    get waiting() {
      return queue.size;
    },
  };
  return semaphore;
}

/** Work that would hold up the event loop is done in pieces; each waits for a turn. */
export interface Turns {
  /** Resolves when everything else that is ready had its say, one waiting piece in each turn of the event loop, in the order they came. */
  next(): Promise<void>;
  /** Pieces that wait. */
  readonly waiting: number;
}

export function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  const run = (): void => {
    const first = waiting.shift();
    // An immediate that is asked for in one comes in the next turn of the event loop.
    if (waiting.length > 0) setImmediate(run);
    first?.();
  };
  return {
    next: () =>
      new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(run);
      }),
    get waiting() {
      return waiting.length;
    },
  };
}

/**
 * All pieces of one thread: were each request to wait for its own immediate, all of them would run in the same turn, and five
 * hundred readers make a health probe wait for five hundred pieces.
 */
export const eventLoop: Turns = createTurns();

/** Work that would hold up the event loop is done in pieces; each waits for a turn. */
export interface Turns {
  /** Resolves when everything else that is ready had its say, one waiting piece in each turn of the event loop, in the order they came. */
  next(): Promise<void>;
  /** A new connection came: the next piece waits until none did, or until `MAX_CONNECTIONS_FIRST` came since the piece before. */
  connectionArrived(): void;
  /** Pieces that wait. */
  readonly waiting: number;
}

/**
 * libuv takes one new connection in a turn of the event loop (uv__server_io since 1.50). If each were followed by a piece of some
 * milliseconds, the last of 500 that come together would wait for seconds. More than these are not let by: who connects without
 * end must not keep answers from being made.
 */
export const MAX_CONNECTIONS_FIRST = 16;

export function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  let isLettingBy = false;
  let connectionArrived = 0;
  const run = (): void => {
    if (isLettingBy && connectionArrived < MAX_CONNECTIONS_FIRST) {
      isLettingBy = false;
      connectionArrived += 1;
      setImmediate(run);
      return;
    }
    connectionArrived = 0;
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
    connectionArrived() {
      isLettingBy = true;
    },
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

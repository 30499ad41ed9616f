/** Lets long work run in pieces, one piece per iteration of the event loop, so that other work can run in between. */
export interface Turns {
  /** Resolves when the caller's next piece may run: one per iteration of the event loop, in the order of the calls. */
  next(): Promise<void>;
  /** Reports a new connection. Connections go before pieces, up to MAX_CONNECTIONS_FIRST between two pieces. */
  connectionArrived(): void;
  /** Callers that wait. */
  readonly waiting: number;
}

/**
 * Connections accepted between two pieces. libuv accepts one connection per iteration of the event loop (uv__server_io since 1.50).
 * With a piece of some milliseconds after each, the last of 500 connections would wait for seconds. The limit keeps a client that
 * connects without end from stopping the work.
 */
export const MAX_CONNECTIONS_FIRST = 16;

export function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  let hasNewConnection = false;
  let connections = 0;
  const run = (): void => {
    if (hasNewConnection && connections < MAX_CONNECTIONS_FIRST) {
      hasNewConnection = false;
      connections += 1;
      setImmediate(run);
      return;
    }
    connections = 0;
    const first = waiting.shift();
    // An immediate that is set in an immediate runs in the next iteration.
    if (waiting.length > 0) setImmediate(run);
    first?.();
  };
  return {
    next: () =>
      new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(run);
      }),
    connectionArrived() {
      hasNewConnection = true;
    },
    get waiting() {
      return waiting.length;
    },
  };
}

/** The turns of this thread. One queue for all callers: with an immediate each, the pieces of 500 requests would run in one iteration. */
export const eventLoop: Turns = createTurns();

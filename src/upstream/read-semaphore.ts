/**
 * Polls that have begun to read what came and not yet committed it. A batch takes tens of megabytes from its first byte to its
 * commit, and the writer's heap is bounded: however many feeds are due at once, only so many hold one. Waiting for an upstream,
 * a budget or an answer's first bytes needs no place. Who waits for further bytes while others wait for a place is asked to
 * commit what it has, and gives its place away until they come: an upstream that drips keeps nobody from reading.
 */
const PLACES = 3;
/** Milliseconds after which who waits for a place asks for one, and asks again. */
const PATIENCE_MS = 250;

/** One poll's own. */
export interface Place {
  /** Resolves once this poll may read on; at once when it has its place already. Rejects with the signal's reason. */
  begin(): Promise<void>;
  /** What was read is committed, or given up: the place goes to who waits longest. */
  end(): void;
  /** Waits until something has arrived; true: not yet, and the place that this poll holds is asked for. */
  isAskedFor(arrival: Promise<unknown>): Promise<boolean>;
}

/** `pause` resolves when who waits may ask. */
export function createPlaces(signal: AbortSignal, places = PLACES, pause = patience): () => Place {
  let free = places;
  let isAsking = false;
  const waiting = new Set<() => void>();
  /** Of those that hold a place and wait for bytes. */
  const idle = new Set<() => void>();
  const askWhileWaiting = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    while (waiting.size > 0 && !signal.aborted) {
      await pause();
      if (waiting.size > 0) for (const ask of idle) ask();
    }
    isAsking = false;
  };
  const take = async (): Promise<void> => {
    signal.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const stop = (): void => turn.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    waiting.add(turn.resolve);
    void askWhileWaiting();
    try {
      await turn.promise;
    } finally {
      waiting.delete(turn.resolve);
      signal.removeEventListener('abort', stop);
    }
  };
  const give = (): void => {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else {
      waiting.delete(next);
      next();
    }
  };
  return () => {
    let taken: Promise<void> | null = null;
    return {
      begin() {
        taken ??= take();
        return taken;
      },
      end() {
        taken?.then(give, () => undefined);
        taken = null;
      },
      async isAskedFor(arrival) {
        if (taken === null) return false;
        const asked = Promise.withResolvers<boolean>();
        const ask = (): void => asked.resolve(true);
        const arrived = (): void => asked.resolve(false);
        idle.add(ask);
        arrival.then(arrived, arrived);
        try {
          return await asked.promise;
        } finally {
          idle.delete(ask);
        }
      },
    };
  };
}

/** No clock that a test moves: what is waited for is the network. */
function patience(): Promise<void> {
  return new Promise((resolve) => AbortSignal.timeout(PATIENCE_MS).addEventListener('abort', () => resolve()));
}

const NOTHING_YET = new Uint8Array(0);

/** The same bytes, read in the place; an empty piece where it is asked for and no bytes come (feeds/feed.ts). */
export async function* readIn(place: Place, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const next = pieces.next();
      if (await place.isAskedFor(next)) yield NOTHING_YET;
      const piece = await next;
      isOver = piece.done === true;
      if (piece.done) return;
      await place.begin();
      yield piece.value;
    }
  } catch (error) {
    isOver = true;
    throw error;
  } finally {
    if (!isOver) await pieces.return?.();
  }
}

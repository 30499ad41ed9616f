/**
 * Polls that have begun to read what came and not yet committed it. A batch takes tens of megabytes from its first byte to its
 * commit, and the writer's heap is bounded: however many feeds are due at once, only so many hold one. Waiting for an upstream,
 * a budget or an answer's first bytes needs no place.
 */
const PLACES = 3;

/** One poll's own. */
export interface Place {
  /** Resolves once this poll may read on; at once when it has its place already. Rejects with the signal's reason. */
  begin(): Promise<void>;
  /** What was read is committed, or given up: the place goes to who waits longest. */
  end(): void;
}

export function createPlaces(signal: AbortSignal, places = PLACES): () => Place {
  let free = places;
  const waiting = new Set<() => void>();
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
    };
  };
}

/** The same bytes, the first of which waits for the place. */
export async function* readIn(place: Place, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    await place.begin();
    yield chunk;
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Steps that each answer where they came to, until one came nowhere. The store answers at once, so without a pause a thousand
 * steps are one turn of the thread: messages, a stop among them, would wait for the last. Throws the signal's reason.
 */
export async function walk<Place>(
  signal: AbortSignal,
  step: (after: Place | null) => Promise<Place | null>,
): Promise<void> {
  let after: Place | null = null;
  do {
    signal.throwIfAborted();
    after = await step(after);
    await nextTurn();
  } while (after !== null);
}

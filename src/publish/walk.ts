import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Runs steps until one returns null; each returns where it came to, and the next goes on after that. The store answers at once, so
 * without a pause a thousand steps are one turn of the thread: messages, a stop among them, would wait for the last. Throws the
 * signal's reason.
 */
export async function walk<Position>(
  signal: AbortSignal,
  step: (after: Position | null) => Promise<Position | null>,
): Promise<void> {
  let after: Position | null = null;
  do {
    signal.throwIfAborted();
    after = await step(after);
    await nextTurn();
  } while (after !== null);
}

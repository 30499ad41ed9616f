import type { Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import type { DeadLetter } from '../model/state.ts';
import { scopeOf } from './checkpoint.ts';
import type { DeliveryContext, SinkContext } from './context.ts';

/** Above this many the target itself is wrong, not its entries: delivery stops until an administrator acts. */
export const MAX_DEAD_LETTERS = 10_000;
/** Dead letters read at a time. */
export const BATCH = 5000;

/** Saves refused entries as dead letters. `attempts`: how often each was tried before, by date. Throws `sink-refused` when there are too many. */
export async function addDeadLetters(
  { store, clock, name, collection }: DeliveryContext,
  refused: readonly { entry: IndicatorEntry; reason: string }[],
  attempts: ReadonlyMap<Micros, number>,
): Promise<void> {
  const scope = scopeOf(collection);
  const at = clock.now();
  const letters = refused.map(({ entry: { dateAdded, objectId }, reason }) => {
    return { sink: name, scope, dateAdded, objectId, reason, attempts: (attempts.get(dateAdded) ?? 0) + 1, at };
  });
  // Counted and added in one transaction, because pages are pushed at the same time.
  await store.transaction(async (tx) => {
    const known = await tx.deadLetterCount(name);
    if (attempts.size === 0 && known + letters.length > MAX_DEAD_LETTERS) {
      const why = letters[0]?.reason ?? '';
      throw new GatewayError(
        'sink-refused',
        `${known} entries were refused, and ${letters.length} more would be. Mend that, then run sink retry ${name}. ${why}`,
      );
    }
    await tx.addDeadLetters(letters);
  });
}

/** Removes the dead letters of a sink for which `isDone` is true. */
export async function removeDeadLetters(
  { store, name }: Pick<SinkContext, 'store' | 'name'>,
  isDone: (letter: DeadLetter) => boolean,
): Promise<void> {
  for (let after: DeadLetter | null = null; ; ) {
    const letters: DeadLetter[] = await store.deadLetters(name, after, BATCH);
    after = letters.at(-1) ?? null;
    if (after === null) return;
    const done = letters.filter(isDone);
    if (done.length > 0) await store.transaction((tx) => tx.removeDeadLetters(name, done));
  }
}

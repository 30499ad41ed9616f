import type { DeliveryReport } from '../model/control.ts';
import type { DeadLetter } from '../model/state.ts';
import { filterOf, scopeOf } from './checkpoint.ts';
import { type DeliveryContext, emptyReport } from './context.ts';
import { BATCH } from './dead-letters.ts';
import { pushEntries } from './push.ts';

/**
 * Pushes the dead letters of a collection again. Those that are taken are removed, and so are those of versions that have been
 * replaced since. Throws as `Sink.push`; a target that is down costs no dead letter.
 */
export async function redeliver(context: DeliveryContext): Promise<DeliveryReport> {
  const { store, name, collection } = context;
  const scope = scopeOf(collection);
  const report = emptyReport();
  let after: Pick<DeadLetter, 'scope' | 'dateAdded'> = { scope, dateAdded: 0 };
  for (;;) {
    const letters = (await store.deadLetters(name, after, BATCH)).filter((letter) => letter.scope === scope);
    const last = letters.at(-1);
    if (last === undefined) return report;
    after = last;
    const ids = letters.map(({ objectId }) => objectId);
    const { entries } = await store.page({ ...filterOf(collection), objectIds: ids, after: 0, limit: BATCH });
    const attempts = new Map(letters.map((letter) => [letter.dateAdded, letter.attempts]));
    const current = entries.filter(({ dateAdded }) => attempts.has(dateAdded));
    const refused = await pushEntries(context, current, report, { attempts });
    const done = letters.filter(({ dateAdded }) => !refused.has(dateAdded));
    await store.transaction((tx) => tx.removeDeadLetters(name, done));
  }
}

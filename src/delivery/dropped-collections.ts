import type { DeliveredCollection } from '../model/definition.ts';
import { aliasesAtTarget, removeCheckpoints, scopeOf } from './checkpoint.ts';
import type { SinkContext } from './context.ts';
import { removeDeadLetters } from './dead-letters.ts';

/**
 * Removes from a target what it holds of collections that its sink no longer delivers, with their checkpoints and dead letters.
 * `elsewhere`: aliases that another sink delivers to the same target; their documents stay. Returns how many documents were
 * removed. Throws as `Sink.push`.
 */
export async function removeDroppedCollections(
  context: SinkContext,
  collections: readonly DeliveredCollection[],
  elsewhere: ReadonlySet<string>,
): Promise<number> {
  const { store, sink, name, signal } = context;
  const configured = new Set(collections.map(({ alias }) => alias));
  const none: ReadonlySet<string> = new Set();
  let swept = 0;
  for (const alias of await aliasesAtTarget(store, name, sink)) {
    if (configured.has(alias)) continue;
    if (!elsewhere.has(alias)) swept += await sink.sweep({ alias }, async () => none, signal);
    await store.transaction((tx) => removeCheckpoints(tx, name, sink, alias));
  }
  const scopes = new Set(collections.map(scopeOf));
  await removeDeadLetters(context, ({ scope }) => !scopes.has(scope));
  return swept;
}

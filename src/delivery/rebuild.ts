import type { DeliveryReport } from '../model/control.ts';
import type { Entry } from '../model/entry.ts';
import { filterOf, markBegun, removeOtherScopes, saveCheckpoint, scopeOf } from './checkpoint.ts';
import { type DeliveryContext, emptyReport } from './context.ts';
import { removeDeadLetters } from './dead-letters.ts';
import { readPages } from './pages.ts';
import { pushPages } from './push-pages.ts';

/**
 * Pushes the live set of a collection again, then removes what else the target holds of it. The checkpoint is saved only at the
 * end, so a rebuild that fails begins again from the start. Entries that are added meanwhile are left to `deliver`. Throws as
 * `Sink.push`.
 */
export async function rebuild(context: DeliveryContext): Promise<DeliveryReport> {
  const { clock, store, sink, collection, signal, progress } = context;
  const begun = clock.now();
  const isFirst = await store.transaction((tx) => markBegun(tx, context));
  // Nothing was ever pushed to this empty target, so afterwards there is nothing to sweep.
  const isClean = isFirst && sink.holds === 'live' && (await sink.isEmpty(collection, signal));
  const head = (await store.newest(filterOf(collection))) ?? 0;
  const total = await liveCount(context);
  const report = emptyReport();
  let done = 0;
  // A target that keeps versions gets tombstones as well: it may hold the versions that they end.
  const includes = (entry: Entry): boolean => !(entry.kind === 'indicator' && entry.revoked && sink.holds === 'live');
  const pages = readPages(context, 0, { head, includes });
  await pushPages(context, pages, report, { overwrite: true }, async ({ entries }) => {
    done += entries.length;
    progress?.(done, Math.max(done, total));
  });
  if (!isClean) report.swept = await sink.sweep(collection, (ids) => liveAmong(context, ids), signal);
  // All entries were pushed again: dead letters from before the rebuild no longer stand.
  await removeDeadLetters(context, ({ scope, at }) => scope === scopeOf(collection) && at < begun);
  await store.transaction(async (tx) => {
    // Not behind `head`: of the entries added since, only some were read.
    await saveCheckpoint(tx, context, { dateAdded: head, updatedAt: clock.now(), renewedAt: begun });
    await removeOtherScopes(tx, context);
  });
  return report;
}

/** Live indicators of the collection. */
async function liveCount({ store, collection }: DeliveryContext): Promise<number> {
  const types: readonly string[] | null = collection.types;
  const counts = Object.entries(await store.countLive(collection.journal));
  return counts.reduce((sum, [type, count]) => sum + (types?.includes(type) === false ? 0 : (count ?? 0)), 0);
}

/** Those of the STIX ids that are live indicators of the collection. */
async function liveAmong(
  { store, collection }: DeliveryContext,
  objectIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const live = new Set<string>();
  if (objectIds.length === 0) return live;
  const filter = { ...filterOf(collection), objectIds };
  const { entries } = await store.page({ ...filter, after: 0, limit: objectIds.length });
  for (const entry of entries) if (entry.kind === 'indicator' && !entry.revoked) live.add(entry.objectId);
  return live;
}

import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import type { Entry } from '../model/entry.ts';
import type { Checkpoint } from '../model/state.ts';
import { filterOf, findCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { type DeliveryContext, emptyReport } from './context.ts';
import { type JournalPage, readPages } from './pages.ts';
import { pushPages } from './push-pages.ts';
import { rebuild } from './rebuild.ts';

/** A checkpoint without new entries is saved this often: its age tells how long the sink was not up to date. */
const CHECKPOINT_AGE: Micros = 60 * MICROS_PER_SECOND;
/** Time between two searches for documents that have to be renewed. */
const RENEWAL_INTERVAL: Micros = MICROS_PER_DAY;

/**
 * Delivers the entries of a collection after its checkpoint: read a page, push it, save the checkpoint. Entries are delivered at
 * least once, and delivering one again changes nothing. A collection without a checkpoint is rebuilt, and so is one whose sink was
 * behind for longer than tombstones stay in the journal. Throws as `Sink.push`; what was delivered by then stays delivered.
 */
export async function deliver(context: DeliveryContext): Promise<DeliveryReport> {
  const { clock, store, keep } = context;
  const checkpoint = await findCheckpoint(store, context);
  if (checkpoint === null || clock.now() - checkpoint.updatedAt > keep * MICROS_PER_MS) return rebuild(context);
  const report = emptyReport();
  const pages = readPages(context, checkpoint.dateAdded);
  await pushPages(context, pages, report, {}, (page) => advance(context, checkpoint, page));
  const sinceRenewal = clock.now() - checkpoint.renewedAt;
  // Negative when the clock was set back: a date in the future must not put renewals off.
  if (sinceRenewal >= RENEWAL_INTERVAL || sinceRenewal < 0) await renew(context, checkpoint.renewedAt, report);
  return report;
}

/** Saves the checkpoint behind a page that was pushed. */
async function advance(context: DeliveryContext, checkpoint: Checkpoint, { until, more }: JournalPage): Promise<void> {
  const { clock, store } = context;
  if (until <= checkpoint.dateAdded && clock.now() - checkpoint.updatedAt <= CHECKPOINT_AGE) return;
  // `updatedAt` moves only when the sink is up to date: while it catches up, tombstones may leave before they are delivered.
  const updatedAt = more ? checkpoint.updatedAt : clock.now();
  const { renewedAt } = checkpoint;
  await store.transaction((tx) => saveCheckpoint(tx, context, { dateAdded: until, updatedAt, renewedAt }));
}

/**
 * Writes live entries again whose documents would grow too old (Sink.needsRenewal). When it fails, the next delivery begins it
 * again from the start; writing a document twice changes nothing.
 */
async function renew(context: DeliveryContext, since: Micros, report: DeliveryReport): Promise<void> {
  const { clock, store, sink, collection } = context;
  const now = clock.now();
  if (sink.needsRenewal !== null) {
    const head = (await store.newest(filterOf(collection))) ?? 0;
    const includes = (entry: Entry): boolean =>
      entry.kind === 'indicator' && !entry.revoked && sink.needsRenewal?.(entry, since, now) === true;
    const pages = readPages(context, 0, { head, includes });
    await pushPages(context, pages, report, { overwrite: true }, async () => undefined);
  }
  await store.transaction(async (tx) => {
    const checkpoint = await findCheckpoint(tx, context);
    if (checkpoint !== null) await saveCheckpoint(tx, context, { ...checkpoint, renewedAt: now });
  });
}

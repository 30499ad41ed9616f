import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AnalystVerdict } from '../model/analyst-verdict.ts';
import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import type { Transaction } from '../store/store.ts';
import { addPublished, type Published } from './changes.ts';
import type { Journals } from './journals.ts';
import { publish } from './publish.ts';

/** Verdicts that end by their date in one transaction: each may be on a network of up to 1024 addresses. */
const SLICE = 250;

/** Keeps a verdict, and brings the journals of its pool up to it in the same commit. */
export async function giveVerdict(
  tx: Transaction,
  journals: Journals,
  given: Omit<AnalystVerdict, 'id' | 'ended'>,
  published: Published,
): Promise<AnalystVerdict> {
  const verdict = await tx.addAnalystVerdict(given);
  await publishVerdicts(tx, journals, [verdict], given.at, published);
  return verdict;
}

/** Ends verdicts by hand, and brings the journals of their pools up to that. */
export async function endVerdicts(
  tx: Transaction,
  journals: Journals,
  verdicts: readonly AnalystVerdict[],
  { at, by }: { at: Micros; by: string },
  published: Published,
): Promise<void> {
  await tx.endAnalystVerdicts(
    verdicts.map(({ id }) => id),
    at,
    by,
  );
  await publishVerdicts(tx, journals, verdicts, at, published);
}

/**
 * Ends verdicts whose date has come; those that a clock which was ahead ended too early stand again. Forgets those that ended longer
 * ago than any journal keeps what it withdrew.
 */
export async function keepVerdictDates(
  journals: Journals,
  now: Micros,
  signal: AbortSignal,
  published: Published,
): Promise<void> {
  const { writer, journals: definitions } = journals.parts;
  const keep = Math.max(0, ...definitions.map((definition) => definition.keep)) * MICROS_PER_MS;
  await writer.transaction((tx) => tx.forgetEndedVerdicts(now - keep));
  for (let isMore = true; isMore && !signal.aborted; ) {
    isMore = await writer.transaction(async (tx) => {
      const [revived, overdue] = [await tx.reviveVerdicts(now, SLICE), await tx.overdueVerdicts(now, SLICE)];
      await tx.endAnalystVerdicts(
        overdue.map(({ id }) => id),
        now,
        null,
      );
      await publishVerdicts(tx, journals, [...revived, ...overdue], now, published);
      return revived.length === SLICE || overdue.length === SLICE;
    });
    if (isMore) await nextTurn();
  }
}

async function publishVerdicts(
  tx: Transaction,
  journals: Journals,
  verdicts: readonly AnalystVerdict[],
  now: Micros,
  published: Published,
): Promise<void> {
  for (const pool of new Set(verdicts.map((verdict) => verdict.pool))) {
    const named = new Map(verdicts.filter((one) => one.pool === pool).map(({ key, observable }) => [key, observable]));
    const contexts = await journals.contextsOfPool(tx, pool, now);
    addPublished(published, await publish(tx, contexts, { keys: [...named.keys()], objects: [], named }, now));
  }
}

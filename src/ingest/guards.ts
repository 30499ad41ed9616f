import type { FeedDefinition } from '../model/definition.ts';
import type { HeldBack } from '../model/state.ts';
import type { Transaction } from '../store/store.ts';
import type { Counters } from './batch.ts';
import type { FeedPull } from './pull.ts';

/**
 * When a pull is held back. It may have added rows, because batches are committed before its end is known. It withdraws nothing and
 * is not whole: validators, freshness and rejections of the last good pull stay.
 */

/** A share means nothing for a handful of rows. */
const GUARD_FROM_ROWS = 20;
/** Before the end of a pull, a share is judged from so many rows on. */
const JUDGED_EARLY_FROM = 1000;

/** Why a pull is held back, and what it would do. */
export interface Doubt {
  message: string;
  heldBack: HeldBack;
}

/**
 * Judges a pull by its rows so far, before a batch is committed. The batch that raises the doubt is not taken. Null: there is none.
 */
export function doubtRows(feed: FeedDefinition, counters: Counters, isLast: boolean, isForced: boolean): Doubt | null {
  const { read, refused } = counters;
  const heldBack = { read, refused, withdrawn: 0 };
  const { maxRefused, expectRows, mode, name } = feed;
  const isJudged = read >= (isLast ? GUARD_FROM_ROWS : JUDGED_EARLY_FROM);
  if (maxRefused !== undefined && isJudged && refused > read * maxRefused) {
    const message = `Of ${read} rows of feed ${name}, ${refused} could not be used: that looks like another format or an error page (max_refused); held back, and what was said before is still served.`;
    return { message, heldBack };
  }
  const most = expectRows?.max ?? Number.POSITIVE_INFINITY;
  if (mode !== 'snapshot' || isForced || read - refused <= most) return null;
  const message = `Feed ${name} brought more than ${most} rows, which is more than expected (expect_rows); held back, and what was said before is still served.`;
  return { message, heldBack };
}

/** Judges a snapshot that was read to its end, once all its rows are saved. */
export async function doubtWithdrawals(
  tx: Pick<Transaction, 'unseen'>,
  { feed, mark }: FeedPull,
  { read, refused }: Counters,
): Promise<Doubt | null> {
  const { unseen, total } = await tx.unseen(mark);
  const rows = read - refused;
  const doubt = (message: string): Doubt => ({
    message: `Feed ${feed.name} ${message}; held back, and all of it is still served.`,
    heldBack: { read, refused, withdrawn: unseen },
  });
  if (rows === 0 && !feed.emptyAllowed) {
    return doubt(`brought no row that could be used (empty_allowed), and would lose ${unseen} of ${total}`);
  }
  const least = feed.expectRows?.min ?? 0;
  if (rows < least) {
    const message = `brought ${rows} rows where at least ${least} are expected (expect_rows), and would lose ${unseen} of ${total}`;
    return doubt(message);
  }
  const isCollapse = feed.shrinkGuard !== null && total >= GUARD_FROM_ROWS && unseen > total * feed.shrinkGuard;
  return isCollapse ? doubt(`would lose ${unseen} of ${total} rows at once (shrink_guard)`) : null;
}

/** The note on a delta pull of an unexpected size. It withdraws nothing, so it is taken. */
export function noteOnSize({ mode, expectRows }: FeedDefinition, { read, refused }: Counters): string | null {
  if (mode !== 'delta' || expectRows === undefined) return null;
  const { min = 0, max = Number.POSITIVE_INFINITY } = expectRows;
  const rows = read - refused;
  if (rows >= min && rows <= max) return null;
  const bound = rows < min ? `at least ${min}` : `at most ${max}`;
  return `The last pull brought ${rows} rows, where ${bound} are expected (expect_rows).`;
}

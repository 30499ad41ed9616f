import type { FeedAccount } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND, type Millis } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import { advance, applyRateLimit, nextRequestAt, spend } from './budget.ts';
import { advanceBreaker, beginTrial, closesAt, recordFailure, recordSuccess } from './circuit-breaker.ts';

/** The account that a request spends from, and the store that keeps its state. */
export interface AccountParts {
  clock: Clock;
  writer: Pick<Writer, 'transaction'>;
  account: FeedAccount;
  accountName: string;
  signal: AbortSignal;
}

/** A request waits for its budget for so long. A longer wait ends the poll, and the schedule tries again. */
export const MAX_WAIT_MS: Millis = 120_000;

/**
 * Waits until the account's budget admits the request, and spends it in the same transaction.
 * Throws `budget-exhausted` when the wait would be too long, and `upstream-failed` while the circuit breaker is open.
 */
export async function admitRequest(weight: number, { clock, writer, account, accountName, signal }: AccountParts) {
  const giveUpAt = clock.now() + MAX_WAIT_MS * MICROS_PER_MS;
  for (;;) {
    signal.throwIfAborted();
    const { wait, open } = await writer.transaction(async (tx) => {
      const now = clock.now();
      const state = await tx.account(accountName);
      const open = closesAt(state, now) - now;
      const wait = nextRequestAt(state, account.limits, weight, now) - now;
      if (open <= 0 && wait <= 0) await tx.saveAccount(beginTrial(spend(state, account.limits, weight, now), now));
      // Saved while waiting too: after a clock was set back, the wait must not begin anew each time.
      else await tx.saveAccount(advanceBreaker(advance(state, now), now));
      return { wait, open };
    });
    if (open > 0) {
      const retryAfter = Math.ceil(open / MICROS_PER_SECOND);
      const message = `${account.origin} failed again and again; it is asked once more in ${retryAfter} s.`;
      throw new GatewayError('upstream-failed', message, { retryAfter });
    }
    if (wait <= 0) return;
    if (clock.now() + wait > giveUpAt) {
      const retryAfter = Math.ceil(wait / MICROS_PER_SECOND);
      const message = `The allowance at ${account.origin} admits the next request in ${retryAfter} s.`;
      throw new GatewayError('budget-exhausted', message, { retryAfter });
    }
    await clock.sleep(Math.ceil(wait / MICROS_PER_MS), signal);
  }
}

/** Saves what the answer says of the rate limit. Returns the seconds that it asks to wait; null for none. */
export async function saveRateLimit(
  status: number,
  headers: Record<string, string>,
  { clock, writer, accountName }: AccountParts,
): Promise<number | null> {
  const now = clock.now();
  return writer.transaction(async (tx) => {
    const state = await tx.account(accountName);
    const limited = applyRateLimit(state, status, headers, now);
    if (limited === state) return null;
    await tx.saveAccount(limited);
    return Math.max(1, Math.ceil(((limited.blockedUntil ?? now) - now) / MICROS_PER_SECOND));
  });
}

/** Saves in the account's circuit breaker how a request ended. */
export async function saveOutcome(
  outcome: 'success' | 'failure',
  { clock, writer, accountName }: AccountParts,
): Promise<void> {
  await writer.transaction(async (tx) => {
    const state = await tx.account(accountName);
    const next = outcome === 'success' ? recordSuccess(state) : recordFailure(state, clock.now(), Math.random());
    if (next !== state) await tx.saveAccount(next);
  });
}

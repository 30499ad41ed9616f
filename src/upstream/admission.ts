import type { FeedAccount } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import { admit, learn, settle, spend } from './budget.ts';
import { addFailure, addSuccess, beginTrial, closesAt, settleBreaker } from './circuit-breaker.ts';

/** Whose allowance is spent, and where the store keeps what is left of it. */
export interface TurnParts {
  clock: Clock;
  writer: Pick<Writer, 'transaction'>;
  account: FeedAccount;
  accountName: string;
  signal: AbortSignal;
}

/** A poll waits this long for its turn; a longer wait ends it, and the schedule comes back. */
export const MAX_WAIT_MS = 120_000;

/**
 * Waits until the account's budget admits the request and spends it, in one transaction with looking.
 * Throws `budget-exhausted` for a wait that is too long, `upstream-failed` while the account's breaker is open.
 */
export async function takeTurn(weight: number, { clock, writer, account, accountName, signal }: TurnParts) {
  const giveUpAt = clock.now() + MAX_WAIT_MS * MICROS_PER_MS;
  for (;;) {
    signal.throwIfAborted();
    const { wait, broken } = await writer.transaction(async (tx) => {
      const now = clock.now();
      const state = await tx.account(accountName);
      const broken = closesAt(state, now) - now;
      const wait = admit(state, account.limits, weight, now) - now;
      if (broken <= 0 && wait <= 0) await tx.saveAccount(beginTrial(spend(state, account.limits, weight, now), now));
      // Settled while waiting too: after a clock was set back, the wait must not begin anew with every look.
      else await tx.saveAccount(settleBreaker(settle(state, now), now));
      return { wait, broken };
    });
    if (broken > 0) {
      const retryAfter = Math.ceil(broken / MICROS_PER_SECOND);
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

/** Keeps what the answer says of the allowance; answers how many seconds it asks to wait, null for nothing. */
export async function keepHints(
  status: number,
  headers: Record<string, string>,
  { clock, writer, accountName }: TurnParts,
): Promise<number | null> {
  const now = clock.now();
  return writer.transaction(async (tx) => {
    const state = await tx.account(accountName);
    const learnt = learn(state, status, headers, now);
    if (learnt === state) return null;
    await tx.saveAccount(learnt);
    return Math.max(1, Math.ceil(((learnt.blockedUntil ?? now) - now) / MICROS_PER_SECOND));
  });
}

/** Tells the account's breaker how a request ended. */
export async function keepOutcome(isWell: boolean, { clock, writer, accountName }: TurnParts): Promise<void> {
  await writer.transaction(async (tx) => {
    const state = await tx.account(accountName);
    const next = isWell ? addSuccess(state) : addFailure(state, clock.now(), Math.random());
    if (next !== state) await tx.saveAccount(next);
  });
}

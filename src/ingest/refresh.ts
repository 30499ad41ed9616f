import type { AccountLimits, ConfiguredFeed } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_SECOND, type Micros, type Millis } from '../model/clock.ts';
import type { ErrorCode } from '../model/error.ts';
import { isDue } from '../model/freshness.ts';
import type { AccountState, FeedState } from '../model/state.ts';
import type { Reader } from '../store/store.ts';
import { allowanceOf } from '../upstream/account.ts';

export interface RefreshParts {
  clock: Clock;
  store: Pick<Reader, 'feedState' | 'account'>;
  /** Null for feeds that never use the network. */
  accountOf(feed: ConfiguredFeed): { name: string; limits: AccountLimits } | null;
  /** One at a time per feed; whoever asks meanwhile shares it. */
  poll(feed: string): Promise<unknown>;
}

/** Least time between two tries that readers cause. */
const APART = 300 * MICROS_PER_SECOND;
/** Share of an account's window that readers may spend: the rest is the schedule's. */
const SHARE = 0.5;

const mends: ReadonlySet<ErrorCode> = new Set([
  'upstream-failed',
  'upstream-timeout',
  'upstream-rate-limited',
  'budget-exhausted',
]);

/**
 * Polls feeds that a reader found overdue, though a backoff may have put their next try hours away: if the failure is of a kind that
 * mends itself, the last try is a while ago, and the account can spare the call. Readers never wait for it, and never cause more
 * than that one call, however many they are.
 */
export async function refreshOverdue(feeds: readonly ConfiguredFeed[], parts: RefreshParts): Promise<void> {
  const { clock, store, accountOf, poll } = parts;
  for (const feed of feeds) {
    if (!feed.upstream.refreshOnRead) continue;
    const { name, every } = feed.definition;
    const account = accountOf(feed);
    if (account === null || !mayRetry(await store.feedState(name), every, clock.now())) continue;
    if (isSpared(await store.account(account.name), account.limits, clock.now())) await poll(name);
  }
}

function mayRetry(state: FeedState, every: Millis, now: Micros): boolean {
  const { attemptedAt, nextPollAt, error } = state;
  if (error === null || !mends.has(error.code) || attemptedAt === null) return false;
  // A poll whose time has come is the schedule's.
  return isDue(state, every, now) && nextPollAt !== null && nextPollAt > now && now - attemptedAt >= APART;
}

function isSpared(account: AccountState, limits: AccountLimits, now: Micros): boolean {
  const { nextRequestAt, windows } = allowanceOf(account, limits, now);
  return nextRequestAt === null && windows.every(({ requests, left }) => left > requests * (1 - SHARE));
}

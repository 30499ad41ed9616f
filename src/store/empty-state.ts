import type { AccountState, FeedState } from '../model/state.ts';

/** The state of a feed that nothing was saved of. */
export function unknownFeed(feed: string): FeedState {
  return {
    feed,
    cursor: null,
    movedAt: null,
    etag: null,
    lastModified: null,
    bodyHash: null,
    changedAt: null,
    freshUntil: null,
    confirmedAt: null,
    succeededAt: null,
    attemptedAt: null,
    nextPollAt: null,
    failures: 0,
    error: null,
    gap: null,
    note: null,
    lapsedAt: null,
    accepted: 0,
    rejected: 0,
    read: 0,
    split: 0,
    folded: 0,
    filtered: 0,
    gone: 0,
    observations: 0,
    objects: 0,
  };
}

/** The state of an account that nothing was sent with. */
export function unusedAccount(account: string): AccountState {
  return { account, lastRequestAt: null, blockedUntil: null, windows: {}, requests: 0 };
}

import type { Micros } from '../model/clock.ts';
import type { FeedDefinition, JournalDefinition } from '../model/definition.ts';
import { unreadSince } from '../model/freshness.ts';
import type { FeedState } from '../model/state.ts';
import type { Suppressor } from '../suppress/suppressor.ts';
import type { Publishers } from './publisher.ts';

/** A journal and what deciding about it takes, read once per transaction. */
export interface JournalContext {
  definition: JournalDefinition;
  /** The pool's feeds by name. */
  feeds: ReadonlyMap<string, FeedFreshness>;
  /** Which names stand for one publisher in this pool. */
  publishers: Publishers;
  /** What keeps indicators out, whoever says them. */
  suppressors: readonly Suppressor[];
  /** The namespace of all ids that this store issues. */
  namespace: string;
}

/** A feed's definition, when it last confirmed all its rows, and whether it can be read. */
export interface FeedFreshness {
  definition: FeedDefinition;
  /** Set for snapshot feeds only; a pull under way confirms the rows that it brings. */
  confirmedAt: Micros | null;
  /** While the feed can't be read: its last good poll. Null while it can. */
  unreadSince: Micros | null;
}

/** Without a lifetime nothing depends on when the feed was read, so its state need not be. */
export function dependsOnState({ lifetime }: FeedDefinition): boolean {
  return Object.keys(lifetime).length > 0;
}

/** The freshness of a feed in this state. `isIdle`: it is not to be polled, so nobody waits for it and what it said ages. */
export function freshnessOf(
  definition: FeedDefinition,
  state: FeedState | null,
  isIdle: boolean,
  now: Micros,
): FeedFreshness {
  if (state === null || !dependsOnState(definition)) return { definition, confirmedAt: null, unreadSince: null };
  return {
    definition,
    confirmedAt: definition.mode === 'snapshot' ? state.confirmedAt : null,
    unreadSince: isIdle ? null : unreadSince(state, definition.every, now),
  };
}

/** The freshness of a feed that is being read: the rows of a snapshot under way are confirmed by being in it. */
export function freshnessWhileRead(definition: FeedDefinition, now: Micros): FeedFreshness {
  const isConfirmed = definition.mode === 'snapshot' && dependsOnState(definition);
  return { definition, confirmedAt: isConfirmed ? now : null, unreadSince: null };
}

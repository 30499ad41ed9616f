import { type Clock, MICROS_PER_DAY, type Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { unreadSince } from '../model/freshness.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import { sourceObjectsOf } from '../stix/source-objects.ts';
import type { Transaction, Writer } from '../store/store.ts';
import { expiryOf } from './lifetime.ts';
import type { FeedView } from './merge.ts';

/** How old what a feed said is: what counts as confirmed, what waits for the feed, and what may leave the store. */

/** Rows of each delta feed that are looked at in a tick: a million come round in three hours. */
const SWEEP_SLICE = 5000;
/** What a delta feed has taken back is remembered for so long after: an older version that comes again says it no more. */
const REVOKED_KEPT = 365 * MICROS_PER_DAY;

export interface AgesParts {
  clock: Clock;
  writer: Writer;
  feeds: FeedDefinition[];
  /** Names of those that are not to be polled: nobody waits for them, so what they said ages. */
  idle: ReadonlySet<string>;
}

export class Ages {
  readonly #parts: AgesParts;
  /** Where the sweep of each delta feed goes on; null: from its first row. */
  readonly #sweptTo = new Map<string, ObservableKey | null>();

  constructor(parts: AgesParts) {
    this.#parts = parts;
  }

  /** `isHeard`: it is being read. Rows of a snapshot under way are confirmed by being there. */
  async viewOf(tx: Transaction, definition: FeedDefinition, isHeard: boolean): Promise<FeedView> {
    const { name, mode, every, lifetime } = definition;
    // Without a lifetime nothing depends on when it was read.
    if (Object.keys(lifetime).length === 0) return { definition, confirmedAt: null, unreadSince: null };
    const now = this.#parts.clock.now();
    if (isHeard) return { definition, confirmedAt: mode === 'snapshot' ? now : null, unreadSince: null };
    const state = await tx.feedState(name);
    return {
      definition,
      confirmedAt: mode === 'snapshot' ? state.confirmedAt : null,
      unreadSince: this.#parts.idle.has(name) ? null : unreadSince(state, every, now),
    };
  }

  /** It was read after a lifetime of its rows had ended or been held back, and they were not all looked at since. */
  async isUnreviewed({ name, every }: FeedDefinition): Promise<boolean> {
    const { writer, idle, clock } = this.#parts;
    const state = await writer.feedState(name);
    return state.lapsedAt !== null && !idle.has(name) && unreadSince(state, every, clock.now()) === null;
  }

  /**
   * Takes out what delta feeds said that expired before `until`, a slice of each feed at a time and round again: no pull will
   * ever say that it is gone, and no life of the process is too short to get on with it. By then every journal has told it, but
   * for what others say as well: `hear` is told what left, in the same transaction.
   */
  async sweep(
    until: Micros,
    hear: (tx: Transaction, feed: FeedDefinition, gone: readonly Observation[]) => Promise<void>,
  ): Promise<void> {
    for (const definition of this.#parts.feeds.filter(({ mode }) => mode === 'delta')) {
      // Journals have yet to tell what ended with the last good poll.
      if (await this.isUnreviewed(definition)) continue;
      const { name } = definition;
      const after = this.#sweptTo.get(name) ?? null;
      const sweptTo = await this.#parts.writer.transaction(async (tx) => {
        const keys = await tx.observedKeys([name], after, SWEEP_SLICE);
        const view = await this.viewOf(tx, definition, false);
        // A STIX object that the next pull may bring once more is known then: else it would be new, and live another lifetime.
        const { movedAt } = await tx.feedState(name);
        const expired = (await tx.observations([name], keys)).filter((observation) => {
          const { revoked, reportedAt } = observation;
          if (movedAt !== null && sourceObjectsOf(observation).some((one) => one.reportedAt >= movedAt)) return false;
          const end = revoked ? reportedAt + REVOKED_KEPT : expiryOf(observation, view, until);
          return end !== null && end < until;
        });
        await tx.removeObservations(
          name,
          expired.map(({ key }) => key),
        );
        await hear(tx, definition, expired);
        await tx.forgetEnded(name, until - REVOKED_KEPT, SWEEP_SLICE);
        return keys.length < SWEEP_SLICE ? null : (keys.at(-1) ?? null);
      });
      this.#sweptTo.set(name, sweptTo);
    }
  }
}

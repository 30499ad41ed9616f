import { MICROS_PER_DAY, type Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import { sourceObjectsOf } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';
import { addPublished, type Published, withdrawalsOf } from './changes.ts';
import { freshnessOf, type Journals } from './journals.ts';
import { expiryOf, seenBy } from './lifetime.ts';
import { publish } from './publish.ts';
import { isReviewDue } from './review.ts';
import { followSuppressFeed, noteSuppressFeed } from './suppress-feed-changes.ts';

/** Rows of each delta feed that are looked at in a tick: a million come round in three hours. */
const SLICE = 5000;
/** What a delta feed has revoked is remembered for so long after: an older version that comes again says it no more. */
const REVOKED_KEPT = 365 * MICROS_PER_DAY;

/** Takes aged observations of delta feeds out of the store: no pull will ever say that they are gone. */
export class AgedRows {
  readonly #journals: Journals;
  /** Where the sweep of each delta feed goes on; null: from its first row. */
  readonly #sweptTo = new Map<string, ObservableKey | null>();

  constructor(journals: Journals) {
    this.#journals = journals;
  }

  /**
   * Takes out what expired before `until`, one slice of each feed after another, so that every feed gets its turn even when the process
   * ends soon. By then every journal has withdrawn it; where other feeds say it as well, this feed is no longer named.
   */
  async sweep(until: Micros, now: Micros, signal: AbortSignal): Promise<Published> {
    const published: Published = { entries: 0, withdrawn: 0 };
    const { feeds, writer } = this.#journals.parts;
    for (const feed of feeds.filter(({ mode }) => mode === 'delta')) {
      // Journals have yet to withdraw what ended with the last good poll.
      if (await isReviewDue(this.#journals, feed)) continue;
      const after = this.#sweptTo.get(feed.name) ?? null;
      const sweptTo = await writer.transaction((tx) => this.#sweepSlice(tx, feed, after, until, now, published));
      this.#sweptTo.set(feed.name, sweptTo);
      await followSuppressFeed(this.#journals, feed.name, signal, published);
    }
    return published;
  }

  /** Returns the key after which the sweep goes on; null when the feed has come round. */
  async #sweepSlice(
    tx: Transaction,
    feed: FeedDefinition,
    after: ObservableKey | null,
    until: Micros,
    now: Micros,
    published: Published,
  ): Promise<ObservableKey | null> {
    const { name } = feed;
    const keys = await tx.observedKeys([name], after, SLICE);
    const state = await tx.feedState(name);
    const freshness = freshnessOf(feed, state, this.#journals.isIdle(name), now);
    const ended = (observation: Observation): boolean => {
      const { revoked, reportedAt } = observation;
      // A STIX object that the next pull may bring once more stays known: else it would be new, and live another lifetime.
      if (sourceObjectsOf(observation).some((one) => state.movedAt !== null && one.reportedAt >= state.movedAt))
        return false;
      const end = revoked ? reportedAt + REVOKED_KEPT : expiryOf(observation, freshness, until);
      return end !== null && end < until;
    };
    const candidates = (await tx.observations([name], keys)).filter(ended);
    const seen = await this.#sightings(tx, name, candidates);
    const expired = candidates.filter((one) => ended(seenBy(one, seen.get(one.key) ?? 0)));
    await tx.removeObservations(
      name,
      expired.map(({ key }) => key),
    );
    if (expired.length > 0) {
      const contexts = await this.#journals.contextsOf(tx, freshness, now);
      const withdrawn = withdrawalsOf(name, expired);
      await noteSuppressFeed(tx, this.#journals, name, withdrawn);
      addPublished(published, await publish(tx, contexts, withdrawn, now));
    }
    await tx.forgetEnded(name, until - REVOKED_KEPT, SLICE);
    return keys.length < SLICE ? null : (keys.at(-1) ?? null);
  }

  /** When analysts last saw these, in any pool of the feed. */
  async #sightings(
    tx: Transaction,
    feed: string,
    observations: readonly Observation[],
  ): Promise<Map<ObservableKey, Micros>> {
    const seen = new Map<ObservableKey, Micros>();
    const keys = observations.map(({ key }) => key);
    for (const pool of new Set(this.#journals.ofFeed(feed).map(({ pool }) => pool))) {
      for (const { key, seenAt } of await tx.standingVerdicts(pool, keys)) {
        seen.set(key, Math.max(seen.get(key) ?? 0, seenAt ?? 0));
      }
    }
    return seen;
  }
}

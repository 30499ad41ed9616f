import { hash } from 'node:crypto';
import { curate, type JournalView } from '../curate/curate.ts';
import type { FeedView } from '../curate/merge.ts';
import { curateObjects, objectEntry, withdrawObjects } from '../curate/objects.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { FeedDefinition, JournalDefinition, PoolDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { StixObject } from '../model/observation.ts';
import type { Transaction, Writer } from '../store/store.ts';

/** Keys brought up to date per transaction where there is no batch to follow. */
const SLICE = 20_000;

export interface JournalsParts {
  clock: Clock;
  writer: Writer;
  feeds: FeedDefinition[];
  pools: PoolDefinition[];
  journals: JournalDefinition[];
  namespace: string;
  /** The first entries of a journal: the producing identity and the markings up to its ceiling. */
  companyOf(journal: JournalDefinition): StixObject[];
}

interface Counts {
  entries: number;
  withdrawn: number;
}

/** Every journal of the configuration, as the pipeline tells them things. */
export class Journals {
  readonly #parts: JournalsParts;

  constructor(parts: JournalsParts) {
    this.#parts = parts;
  }

  /** Tells every journal whose pool holds this feed about what it said or no longer says. */
  async hear(
    tx: Transaction,
    feed: FeedDefinition,
    keys: readonly ObservableKey[],
    objects: readonly StixObject[],
    now: Micros,
    counts: Counts,
  ): Promise<void> {
    if (keys.length === 0 && objects.length === 0) return;
    for (const definition of this.#heardBy(feed.name)) {
      // Rows of a snapshot under way are confirmed by being there.
      const view = await this.#view(tx, definition, feed.mode === 'snapshot' ? { [feed.name]: now } : {});
      const done = await curate(tx, view, keys, now);
      counts.entries += done.entries + (await curateObjects(tx, view, objects, feed.tlp));
      counts.withdrawn += done.withdrawn;
    }
  }

  /** The same for objects that a feed no longer holds and that no other feed of the pool holds. */
  async forget(tx: Transaction, feed: FeedDefinition, ids: readonly string[], counts: Counts): Promise<void> {
    for (const definition of this.#heardBy(feed.name)) {
      const gone = await withdrawObjects(tx, await this.#view(tx, definition, {}), ids);
      counts.entries += gone;
      counts.withdrawn += gone;
    }
  }

  /** Makes journals that are new, and brings those whose policy or feeds changed up to what they now say. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { writer } = this.#parts;
    for (const definition of this.#parts.journals) {
      const wanted = this.#policyHash(definition);
      const journal = await writer.transaction((tx) => this.#open(tx, definition));
      if (journal.policyHash === wanted) continue;
      const feeds = this.#feedsOf(definition).map(({ name }) => name);
      await this.#walk(definition, signal, (tx, after) => tx.observedKeys(feeds, after, SLICE));
      await this.#walk(definition, signal, (tx, after) => tx.liveKeys(definition.name, after, SLICE));
      await writer.transaction((tx) => tx.setPolicyHash(definition.name, wanted));
    }
    await this.#dropUnknownFeeds(signal);
  }

  /** Turns what time has done into entries: renewals, re-issues, expiries; tombstones leave when their keep is over. */
  async tick(signal: AbortSignal): Promise<Counts> {
    const counts: Counts = { entries: 0, withdrawn: 0 };
    const now = this.#parts.clock.now();
    for (const definition of this.#parts.journals) {
      while (!signal.aborted) {
        const seen = await this.#parts.writer.transaction((tx) => this.#tickSlice(tx, definition, now, counts));
        if (seen < SLICE) break;
      }
    }
    return counts;
  }

  async #tickSlice(tx: Transaction, definition: JournalDefinition, now: Micros, counts: Counts): Promise<number> {
    const due = await tx.dueEntries(definition.name, now, SLICE);
    const over = due.filter((entry) => entry.kind === 'object' || entry.revoked);
    if (over.length > 0)
      await tx.purge(
        definition.name,
        over.map(({ dateAdded }) => dateAdded),
      );
    const keys = due.flatMap((entry) => (entry.kind === 'indicator' && !entry.revoked ? [entry.key] : []));
    const done = await curate(tx, await this.#view(tx, definition, {}), keys, now);
    counts.entries += done.entries;
    counts.withdrawn += done.withdrawn;
    return due.length;
  }

  async #open(tx: Transaction, definition: JournalDefinition) {
    const journal = await tx.openJournal(definition);
    if (journal.head !== null) return journal;
    const company = this.#parts.companyOf(definition);
    const dates = await tx.stamp(definition.name, company.length);
    const entries = company.map((object, i) => ({
      entry: objectEntry(object, dates[i] as Micros, true),
      replaces: null,
    }));
    await tx.append(definition.name, entries);
    return journal;
  }

  async #walk(
    definition: JournalDefinition,
    signal: AbortSignal,
    next: (tx: Transaction, after: ObservableKey | null) => Promise<ObservableKey[]>,
  ): Promise<void> {
    let after: ObservableKey | null = null;
    while (!signal.aborted) {
      const keys: ObservableKey[] = await this.#parts.writer.transaction(async (tx) => {
        const slice = await next(tx, after);
        await curate(tx, await this.#view(tx, definition, {}), slice, this.#parts.clock.now());
        return slice;
      });
      const last = keys.at(-1);
      if (last === undefined) return;
      after = last;
    }
    throw signal.reason;
  }

  /** Runs after the journals were told: what a feed said that is no longer configured is of no use to anybody. */
  async #dropUnknownFeeds(signal: AbortSignal): Promise<void> {
    const { writer, feeds } = this.#parts;
    const known = await writer.transaction((tx) => tx.knownFeeds());
    for (const feed of known.filter((name) => !feeds.some((definition) => definition.name === name))) {
      for (;;) {
        signal.throwIfAborted();
        const keys = await writer.transaction(async (tx) => {
          const slice = await tx.observedKeys([feed], null, SLICE);
          await tx.removeObservations(feed, slice);
          return slice;
        });
        if (keys.length === 0) break;
      }
      await writer.transaction((tx) => tx.removeFeed(feed));
    }
  }

  async #view(tx: Transaction, definition: JournalDefinition, confirmed: Record<string, Micros>): Promise<JournalView> {
    const feeds = new Map<string, FeedView>();
    for (const feed of this.#feedsOf(definition)) {
      const stored = feed.mode === 'snapshot' ? (await tx.feedState(feed.name)).confirmedAt : null;
      feeds.set(feed.name, { definition: feed, confirmedAt: confirmed[feed.name] ?? stored });
    }
    return { definition, feeds, namespace: this.#parts.namespace };
  }

  #heardBy(feed: string): JournalDefinition[] {
    const pools = new Set(this.#parts.pools.filter(({ feeds }) => feeds.includes(feed)).map(({ name }) => name));
    return this.#parts.journals.filter(({ pool }) => pools.has(pool));
  }

  #feedsOf(definition: JournalDefinition): FeedDefinition[] {
    const names = this.#parts.pools.find(({ name }) => name === definition.pool)?.feeds ?? [];
    return this.#parts.feeds.filter(({ name }) => names.includes(name));
  }

  #policyHash(definition: JournalDefinition): string {
    const { profile, policy } = definition;
    const feeds = this.#feedsOf(definition).map(({ name, mode, lifetime }) => ({ name, mode, lifetime }));
    return hash('sha256', JSON.stringify({ profile, policy, feeds }), 'hex');
  }
}

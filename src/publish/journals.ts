import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { CollectionDefinition, FeedDefinition, JournalDefinition, PoolDefinition } from '../model/definition.ts';
import { lastVersions } from '../model/entry-filter.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, StixObject } from '../model/observation.ts';
import type { Transaction, Writer } from '../store/store.ts';
import { Ages } from './ages.ts';
import { openPolicy, readmit, sealPolicy, viewsOf, widened } from './collection-views.ts';
import type { FeedView } from './merge.ts';
import { curateObjects } from './objects.ts';
import { appendProducerObjects, settleIdentity } from './producer-objects.ts';
import { addCurated, type Curated, type JournalView, type News } from './publish.ts';
import { bring } from './relations.ts';
import { walk } from './walk.ts';

/** Keys brought up to date per transaction where there is no batch to follow. */
const SLICE = 10_000;
/** The same where each key may be a network of up to 1024 addresses. */
const EXPANDED_SLICE = 250;
/** The same for whole objects, which may be large. */
const OBJECT_SLICE = 1000;
/** A clock that is set back by less was not wrong, it is kept in step. */
const CLOCK_STEP = 30 * MICROS_PER_SECOND;
export interface JournalsParts {
  clock: Clock;
  writer: Writer;
  feeds: FeedDefinition[];
  /** Names of those that are not to be polled: nobody waits for them, so what they said ages. */
  idle: ReadonlySet<string>;
  pools: PoolDefinition[];
  journals: JournalDefinition[];
  /** What readers see of the journals. */
  collections: readonly Pick<CollectionDefinition, 'id' | 'journal' | 'types'>[];
  namespace: string;
  /** The first entries of a journal: the producing identity and the markings up to its ceiling. */
  producerObjectsOf(journal: JournalDefinition): StixObject[];
}

/** Every journal of the configuration, as the pipeline tells them things. */
export class Journals {
  readonly #parts: JournalsParts;
  #identity: StixObject | null = null;
  readonly #ages: Ages;
  /** The latest time that anything was judged by. */
  #judgedAt: Micros = 0;

  constructor(parts: JournalsParts) {
    this.#parts = parts;
    this.#ages = new Ages(parts);
  }

  /** Tells every journal whose pool holds this feed what it said or no longer says: observables, and objects by their ids. */
  async hear(
    tx: Transaction,
    feed: FeedDefinition,
    observations: News['observations'],
    ids: readonly string[],
    now: Micros,
    counts: Curated,
  ): Promise<void> {
    if (observations.size === 0 && ids.length === 0) return;
    this.#judgedAt = Math.max(this.#judgedAt, now);
    for (const definition of this.#heardBy(feed.name)) {
      const view = await this.#view(tx, definition, feed.name);
      addCurated(counts, await bring(tx, view, { feed: feed.name, observations }, ids, now));
    }
  }

  /** The same of observations that have just left the store. */
  async hearGone(
    tx: Transaction,
    feed: FeedDefinition,
    gone: readonly Observation[],
    now: Micros,
    counts: Curated,
  ): Promise<void> {
    if (gone.length === 0) return;
    const observations = new Map(gone.map(({ key }) => [key, null]));
    const told: News = { feed: feed.name, observations, gone: gone.map(({ observable }) => observable) };
    for (const definition of this.#heardBy(feed.name)) {
      addCurated(counts, await bring(tx, await this.#view(tx, definition, feed.name), told, [], now));
    }
  }

  /** Does a journal that hears of this feed tell networks as their addresses? Then what leaves must be known before it does. */
  expands(feed: string): boolean {
    return this.#heardBy(feed).some(({ policy }) => policy.expandCidr !== null);
  }

  /** Makes journals that are new, and brings those whose policy, feeds or views changed up to what they now say. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { writer } = this.#parts;
    for (const definition of this.#parts.journals) {
      const views = viewsOf(definition.name, this.#parts.collections);
      const hash = this.#policyHash(definition);
      const journal = await writer.transaction((tx) => this.#open(tx, definition));
      if (journal.policyHash === sealPolicy(hash, views)) continue;
      const before = openPolicy(journal.policyHash);
      if (before.hash !== hash) {
        const feeds = this.#feedsOf(definition).map(({ name }) => name);
        await this.#walkSaid(definition, feeds, signal);
        await this.#walk(definition, signal, (tx, after, limit) => tx.liveKeys(definition.name, after, limit));
        await this.#reconcileObjects(definition, feeds, signal);
        await this.#forgetVerdicts(definition.name, feeds, signal);
      }
      const added = widened(before.views, views);
      if (added.length > 0) await readmit(writer, definition.name, added, SLICE, signal);
      await writer.transaction((tx) => tx.setPolicyHash(definition.name, sealPolicy(hash, views)));
    }
    await this.#closeUnknownJournals(signal);
    await this.#dropUnknownFeeds(signal);
    for (const { attemptedAt } of await writer.feedStates()) {
      this.#judgedAt = Math.max(this.#judgedAt, attemptedAt ?? 0);
    }
    await this.#settleClock(this.#parts.clock.now(), signal, { entries: 0, withdrawn: 0 });
    // A review that was cut off.
    for (const feed of this.#parts.feeds) if (await this.#ages.isUnreviewed(feed)) await this.review(feed, signal);
  }

  /**
   * After a good poll: looks again at all that the feed says if a lifetime of it ended, or was held back, since the poll before.
   * What it has confirmed comes back or lives on, and the rest ends. Cut off, it is done again.
   */
  async review({ name }: FeedDefinition, signal: AbortSignal, counts?: Curated): Promise<void> {
    const { writer } = this.#parts;
    const { lapsedAt } = await writer.feedState(name);
    if (lapsedAt === null) return;
    for (const definition of this.#heardBy(name)) {
      await this.#walkSaid(definition, [name], signal, counts);
    }
    await writer.transaction(async (tx) => {
      // Another lifetime may have ended meanwhile.
      if ((await tx.feedState(name)).lapsedAt === lapsedAt) await tx.saveFeedState(name, { lapsedAt: null });
    });
  }

  /** What feeds say that have left the journal's pool is none of its business any more. */
  async #forgetVerdicts(journal: string, feeds: readonly string[], signal: AbortSignal): Promise<void> {
    await walk(signal, () =>
      this.#parts.writer.transaction(async (tx) =>
        (await tx.forgetVerdicts(journal, feeds, SLICE)) > 0 ? true : null,
      ),
    );
  }

  /** A journal that is no longer configured hears nothing: should it come back, it is brought up to date from the beginning. */
  async #closeUnknownJournals(signal: AbortSignal): Promise<void> {
    const { writer, journals } = this.#parts;
    const known = new Set(journals.map(({ name }) => name));
    for (const { name, policyHash } of await writer.journals()) {
      if (known.has(name)) continue;
      if (policyHash !== null) await writer.transaction((tx) => tx.setPolicyHash(name, null));
      await this.#forgetVerdicts(name, [], signal);
    }
  }

  /** Objects that now qualify enter; those that stand in the journal and no longer do leave. */
  async #reconcileObjects(definition: JournalDefinition, feeds: string[], signal: AbortSignal): Promise<void> {
    const { writer } = this.#parts;
    const told = async (tx: Transaction, ids: readonly string[]): Promise<void> =>
      void (await curateObjects(tx, await this.#view(tx, definition), ids, this.#parts.clock.now()));
    await walk(signal, (after: string | null) =>
      writer.transaction(async (tx) => {
        // Each once: several feeds may hold it.
        const ids = [...new Set((await tx.objects(feeds, after, OBJECT_SLICE)).map(({ id }) => id))];
        await told(tx, ids);
        return ids.at(-1) ?? null;
      }),
    );
    await walk(signal, (after: Micros | null) =>
      writer.transaction(async (tx) => {
        const { entries } = await tx.page({ ...lastVersions(definition.name), after: after ?? 0, limit: OBJECT_SLICE });
        const ids = entries.flatMap((entry) =>
          entry.kind === 'object' && !entry.isProducerObject ? [entry.objectId] : [],
        );
        await told(tx, ids);
        return entries.at(-1)?.dateAdded ?? null;
      }),
    );
  }

  /** Turns what time has done into entries: renewals, re-issues, expiries; tombstones leave when their keep is over. */
  async tick(signal: AbortSignal): Promise<Curated> {
    const counts: Curated = { entries: 0, withdrawn: 0 };
    const now = this.#parts.clock.now();
    await this.#settleClock(now, signal, counts);
    for (const definition of this.#parts.journals) {
      while (!signal.aborted) {
        const seen = await this.#parts.writer.transaction((tx) => this.#tickSlice(tx, definition, now, counts));
        if (seen < SLICE) break;
        await nextTurn();
      }
    }
    if (!signal.aborted) {
      // What others say as well lives on, and the feed is no longer named there.
      await this.#ages.sweep(now - MICROS_PER_DAY, (tx, feed, gone) => this.hearGone(tx, feed, gone, now, counts));
    }
    return counts;
  }

  /** A clock that was ahead was set right: what it ended too early stands again. */
  async #settleClock(now: Micros, signal: AbortSignal, counts: Curated): Promise<void> {
    const isSetBack = now < this.#judgedAt - CLOCK_STEP;
    for (const definition of isSetBack ? this.#parts.journals : []) {
      const feeds = this.#feedsOf(definition).map(({ name }) => name);
      await this.#walkSaid(definition, feeds, signal, counts);
    }
    this.#judgedAt = now;
  }

  async #tickSlice(tx: Transaction, definition: JournalDefinition, now: Micros, counts: Curated): Promise<number> {
    const due = await tx.dueEntries(definition.name, now, SLICE);
    const over = due.filter((entry) => entry.kind === 'object' || entry.revoked);
    if (over.length > 0)
      await tx.purge(
        definition.name,
        over.map(({ dateAdded }) => dateAdded),
      );
    const keys = due.flatMap((entry) => (entry.kind === 'indicator' && !entry.revoked ? [entry.key] : []));
    addCurated(counts, await bring(tx, await this.#view(tx, definition), keys, [], now));
    return due.length;
  }

  async #open(tx: Transaction, definition: JournalDefinition) {
    const journal = await tx.openJournal(definition);
    const producerObjects = this.#parts.producerObjectsOf(definition).map(async (object) => {
      if (object.type !== 'identity') return object;
      // Once for all journals, so that it is the same in all of them.
      this.#identity ??= await settleIdentity(tx, object);
      return this.#identity;
    });
    await appendProducerObjects(tx, definition.name, await Promise.all(producerObjects));
    return journal;
  }

  /** Brings the journal up to all that these feeds say. */
  async #walkSaid(
    definition: JournalDefinition,
    feeds: readonly string[],
    signal: AbortSignal,
    counts?: Curated,
  ): Promise<void> {
    await this.#walk(definition, signal, (tx, after, limit) => tx.observedKeys(feeds, after, limit), counts);
  }

  async #walk(
    definition: JournalDefinition,
    signal: AbortSignal,
    next: (tx: Transaction, after: ObservableKey | null, limit: number) => Promise<ObservableKey[]>,
    counts: Curated = { entries: 0, withdrawn: 0 },
  ): Promise<void> {
    const limit = definition.policy.expandCidr === null ? SLICE : EXPANDED_SLICE;
    await walk(signal, (after: ObservableKey | null) =>
      this.#parts.writer.transaction(async (tx) => {
        const keys = await next(tx, after, limit);
        addCurated(counts, await bring(tx, await this.#view(tx, definition), keys, [], this.#parts.clock.now()));
        return keys.at(-1) ?? null;
      }),
    );
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
        await nextTurn();
      }
      await writer.transaction((tx) => tx.removeFeed(feed));
    }
  }

  /** `heard`: the feed that is being read. Rows of a snapshot under way are confirmed by being there. */
  async #view(tx: Transaction, definition: JournalDefinition, heard?: string): Promise<JournalView> {
    const feeds = new Map<string, FeedView>();
    for (const feed of this.#feedsOf(definition)) {
      feeds.set(feed.name, await this.#ages.viewOf(tx, feed, heard === feed.name));
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
    const feeds = this.#feedsOf(definition).map(
      ({ name, title, aliases, mode, lifetime, outageLimit, confidence, tlp }) => ({
        name,
        title,
        aliases,
        mode,
        lifetime,
        outageLimit,
        idle: this.#parts.idle.has(name),
        confidence,
        tlp,
      }),
    );
    return hash('sha256', JSON.stringify({ profile, policy, feeds }), 'hex');
  }
}

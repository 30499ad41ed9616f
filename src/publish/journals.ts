import type { Clock, Micros } from '../model/clock.ts';
import type { CollectionDefinition, FeedDefinition, JournalDefinition, PoolDefinition } from '../model/definition.ts';
import type { StixObject } from '../model/observation.ts';
import type { Transaction, Writer } from '../store/store.ts';
import { openSuppressors, suppressorKinds } from '../suppress/registry.ts';
import type { Suppressor, SuppressorKind } from '../suppress/suppressor.ts';
import { type Publishers, publishersOf } from './publisher.ts';
import { dependsOnState, type FeedView, feedView, type JournalView } from './view.ts';

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
  /** Kinds of suppressors that policies may ask for. Default: all there are. */
  suppressors?: Readonly<Record<string, SuppressorKind>>;
  /** The first entries of a journal: the producing identity and the markings up to its ceiling. */
  producerObjectsOf(journal: JournalDefinition): StixObject[];
}

/** Every journal of the configuration, the feeds behind it, and what deciding about it takes. */
export class Journals {
  readonly parts: JournalsParts;
  /** The latest time that anything was decided at: the clock was set back when it is earlier than that. */
  decidedAt: Micros = 0;

  readonly #publishers: ReadonlyMap<string, Publishers>;
  readonly #suppressors: ReadonlyMap<string, readonly Suppressor[]>;

  constructor(parts: JournalsParts) {
    this.parts = parts;
    const { journals, suppressors = suppressorKinds } = parts;
    this.#suppressors = new Map(journals.map(({ name, policy }) => [name, openSuppressors(policy, suppressors)]));
    this.#publishers = new Map(parts.pools.map((pool) => [pool.name, publishersOf(feedsIn(pool, parts.feeds))]));
  }

  /** Those whose pool holds this feed. */
  ofFeed(feed: string): JournalDefinition[] {
    const pools = new Set(this.parts.pools.filter(({ feeds }) => feeds.includes(feed)).map(({ name }) => name));
    return this.parts.journals.filter(({ pool }) => pools.has(pool));
  }

  feedsOf({ pool }: JournalDefinition): FeedDefinition[] {
    return feedsIn(
      this.parts.pools.find(({ name }) => name === pool),
      this.parts.feeds,
    );
  }

  /** The view of one journal, as the states of its feeds stand. */
  view(tx: Transaction, definition: JournalDefinition, now: Micros): Promise<JournalView> {
    return this.#view(tx, definition, now, new Map());
  }

  /** The views of all journals whose pool holds a feed, of which the view is known. */
  async viewsOf(tx: Transaction, feed: FeedView, now: Micros): Promise<JournalView[]> {
    this.decidedAt = Math.max(this.decidedAt, now);
    const { name } = feed.definition;
    const known = new Map([[name, feed]]);
    const views: JournalView[] = [];
    for (const definition of this.ofFeed(name)) views.push(await this.#view(tx, definition, now, known));
    return views;
  }

  /** `known`: feeds whose state has been read in this transaction. */
  async #view(
    tx: Transaction,
    definition: JournalDefinition,
    now: Micros,
    known: Map<string, FeedView>,
  ): Promise<JournalView> {
    const feeds = new Map<string, FeedView>();
    for (const feed of this.feedsOf(definition)) {
      const view = known.get(feed.name) ?? (await this.#feedView(tx, feed, now));
      known.set(feed.name, view);
      feeds.set(feed.name, view);
    }
    const publishers = this.#publishers.get(definition.pool) ?? publishersOf([]);
    const suppressors = this.#suppressors.get(definition.name) ?? [];
    return { definition, feeds, publishers, suppressors, namespace: this.parts.namespace };
  }

  async #feedView(tx: Transaction, feed: FeedDefinition, now: Micros): Promise<FeedView> {
    const state = dependsOnState(feed) ? await tx.feedState(feed.name) : null;
    return feedView(feed, state, this.isIdle(feed.name), now);
  }

  isIdle(feed: string): boolean {
    return this.parts.idle.has(feed);
  }
}

function feedsIn(pool: PoolDefinition | undefined, feeds: readonly FeedDefinition[]): FeedDefinition[] {
  return pool === undefined ? [] : feeds.filter(({ name }) => pool.feeds.includes(name));
}

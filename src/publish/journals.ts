import type { Clock, Micros } from '../model/clock.ts';
import type {
  CollectionDefinition,
  ContributedDefinition,
  FeedDefinition,
  JournalDefinition,
  JournalPolicy,
  PoolDefinition,
} from '../model/definition.ts';
import { unreadSince } from '../model/freshness.ts';
import type { Observable } from '../model/observable.ts';
import type { StixObject } from '../model/observation.ts';
import type { FeedState } from '../model/state.ts';
import type { Transaction, Writer } from '../store/store.ts';
import { openSuppressors, suppressorKinds } from '../suppress/registry.ts';
import type { Suppressor, SuppressorKind } from '../suppress/suppressor.ts';
import { type Publishers, publishersOf } from './publisher.ts';

/** A journal and what deciding about it takes, read once per transaction. */
export interface JournalContext {
  definition: JournalDefinition;
  /** The pool's feeds by name. */
  feeds: ReadonlyMap<string, FeedFreshness>;
  /** Which names stand for one publisher in this pool. */
  publishers: Publishers;
  /** What keeps indicators out, whichever feed says them. */
  suppressors: readonly Suppressor[];
  /** Does any verdict of an analyst stand in the pool? */
  isRuled: boolean;
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

export interface JournalsParts {
  clock: Clock;
  writer: Writer;
  feeds: FeedDefinition[];
  /** Names of feeds that are not polled. Their rows age, since no poll is awaited. */
  idle: ReadonlySet<string>;
  pools: PoolDefinition[];
  journals: JournalDefinition[];
  /** Journals that no pool writes to. Default: none. */
  contributed?: readonly ContributedDefinition[];
  /** What readers see of the journals. */
  collections: readonly Pick<CollectionDefinition, 'id' | 'journal' | 'types'>[];
  namespace: string;
  /** Kinds of suppressors that policies may ask for. Default: all there are. */
  suppressors?: Readonly<Record<string, SuppressorKind>>;
  /** The first entries of a journal: the producing identity and the markings up to its ceiling. */
  producerObjectsOf(journal: { policy: Pick<JournalPolicy, 'tlp' | 'tlpVersion'> }): StixObject[];
}

/** Every journal of the configuration, the feeds behind it, and what deciding about it takes. */
export class Journals {
  readonly parts: JournalsParts;
  /** The latest time that anything was decided at: the clock was set back when it is earlier than that. */
  decidedAt: Micros = 0;
  /** Entries of suppress feeds that changed and whose cover is not published again yet, by feed and value. Null: too many. */
  readonly changedEntries = new Map<string, ReadonlyMap<string, Observable> | null>();

  readonly #publishers: ReadonlyMap<string, Publishers>;
  readonly #suppressors: ReadonlyMap<string, readonly Suppressor[]>;

  constructor(parts: JournalsParts) {
    this.parts = parts;
    const { journals, suppressors = suppressorKinds } = parts;
    this.#suppressors = new Map(journals.map((journal) => [journal.name, openSuppressors(journal, suppressors)]));
    this.#publishers = new Map(parts.pools.map((pool) => [pool.name, publishersOf(feedsIn(pool, parts.feeds))]));
  }

  /** Those whose pool holds this feed. */
  ofFeed(feed: string): JournalDefinition[] {
    const pools = new Set(this.parts.pools.filter(({ feeds }) => feeds.includes(feed)).map(({ name }) => name));
    return this.parts.journals.filter(({ pool }) => pools.has(pool));
  }

  /** Those in which this feed suppresses. */
  suppressedBy(feed: string): JournalDefinition[] {
    return this.parts.journals.filter(({ policy }) => policy.suppressFeeds?.includes(feed) === true);
  }

  feedsOf({ pool }: JournalDefinition): FeedDefinition[] {
    return feedsIn(
      this.parts.pools.find(({ name }) => name === pool),
      this.parts.feeds,
    );
  }

  /** The context of one journal, as the states of its feeds stand. */
  context(tx: Transaction, definition: JournalDefinition, now: Micros): Promise<JournalContext> {
    return this.#context(tx, definition, now, new Map());
  }

  /** The contexts of all journals whose pool holds this feed. Each feed's state is read once. */
  async contextsOf(tx: Transaction, feed: FeedFreshness, now: Micros): Promise<JournalContext[]> {
    this.decidedAt = Math.max(this.decidedAt, now);
    const { name } = feed.definition;
    const known = new Map([[name, feed]]);
    const contexts: JournalContext[] = [];
    for (const definition of this.ofFeed(name)) contexts.push(await this.#context(tx, definition, now, known));
    return contexts;
  }

  /** The contexts of all journals of this pool. */
  async contextsOfPool(tx: Transaction, pool: string, now: Micros): Promise<JournalContext[]> {
    this.decidedAt = Math.max(this.decidedAt, now);
    const known = new Map<string, FeedFreshness>();
    const contexts: JournalContext[] = [];
    for (const definition of this.parts.journals.filter((journal) => journal.pool === pool)) {
      contexts.push(await this.#context(tx, definition, now, known));
    }
    return contexts;
  }

  /** `known`: feeds whose state has been read in this transaction. */
  async #context(
    tx: Transaction,
    definition: JournalDefinition,
    now: Micros,
    known: Map<string, FeedFreshness>,
  ): Promise<JournalContext> {
    const feeds = new Map<string, FeedFreshness>();
    for (const feed of this.feedsOf(definition)) {
      const freshness = known.get(feed.name) ?? (await this.#freshness(tx, feed, now));
      known.set(feed.name, freshness);
      feeds.set(feed.name, freshness);
    }
    const publishers = this.#publishers.get(definition.pool) ?? publishersOf([]);
    const suppressors = this.#suppressors.get(definition.name) ?? [];
    const isRuled = await tx.hasStandingVerdicts(definition.pool);
    return { definition, feeds, publishers, suppressors, isRuled, namespace: this.parts.namespace };
  }

  async #freshness(tx: Transaction, feed: FeedDefinition, now: Micros): Promise<FeedFreshness> {
    return freshnessOf(feed, await tx.feedState(feed.name), this.isIdle(feed.name), now);
  }

  /** Versions of what its suppressors' verdicts come from besides the policy. */
  suppressing({ name }: JournalDefinition): string[] {
    return (this.#suppressors.get(name) ?? []).flatMap(({ version }) => version ?? []);
  }

  isIdle(feed: string): boolean {
    return this.parts.idle.has(feed);
  }
}

function feedsIn(pool: PoolDefinition | undefined, feeds: readonly FeedDefinition[]): FeedDefinition[] {
  return pool === undefined ? [] : feeds.filter(({ name }) => pool.feeds.includes(name));
}

/** The freshness of a feed in this state. `isIdle`: the feed is not polled, so its rows age. */
export function freshnessOf(definition: FeedDefinition, state: FeedState, isIdle: boolean, now: Micros): FeedFreshness {
  return {
    definition,
    confirmedAt: definition.mode === 'snapshot' ? state.confirmedAt : null,
    unreadSince: isIdle ? null : unreadSince(state, definition.every, now),
  };
}

/** The freshness of a feed that is being read: the rows of a snapshot under way are confirmed by being in it. */
export function freshnessWhileRead(definition: FeedDefinition, now: Micros): FeedFreshness {
  return { definition, confirmedAt: definition.mode === 'snapshot' ? now : null, unreadSince: null };
}

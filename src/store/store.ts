import type { Clock, Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { Entry, IndicatorEntry } from '../model/entry.ts';
import type { StoreFault } from '../model/error.ts';
import type { ObservableKey, ObservableType } from '../model/observable.ts';
import type { Observation, Statement, StixObject } from '../model/observation.ts';
import type { AccountState, Checkpoint, Client, DeadLetter, FeedState } from '../model/state.ts';
import type { Commits } from './commits.ts';
import type { Refusals, Refused } from './refusals.ts';
import type { Relations } from './relations.ts';
import type { Served, Verdicts } from './verdicts.ts';

/**
 * The storage contract. It knows no engine: everything is asynchronous, batched and named in the words of model/.
 *
 * One process holds one writer; any number of readers see only committed state, each call in one consistent view. Outside of a
 * transaction `page`, `visitPage`, `newest`, `live` and `countMatching` may take a long journal in steps of some milliseconds, each
 * step in a view of its own, and let the event loop go on in between.
 * Every method throws GatewayError when the engine fails, with the engine's error as its cause: `store-full` when its disk is,
 * `store-damaged` when what it kept can't be read back, else `store-failed`.
 * test/contracts/store.contract.ts is the proof each engine runs.
 */
export interface StoreEngine {
  name: string;
  /** Has a writer ever made one at `location`? */
  exists(location: string): boolean;
  /**
   * Creates or migrates what is at `location`, and tells `commits` of what it commits. Throws `store-failed` for a store written by
   * a newer version.
   */
  openWriter(location: string, clock: Clock, commits?: Commits): Promise<Writer>;
  /**
   * Reads all that is kept at `location` and answers in a line what is wrong with it; null when nothing is. Takes seconds for a
   * large store, in a thread of its own. Ends without an answer (null) when aborted.
   */
  check(location: string, signal: AbortSignal): Promise<string | null>;
  /** Opens what a writer made; never changes it. Only where `commits` hears of every commit may it be given. */
  openReader(location: string, commits?: Commits): Promise<Reader>;
}

/** A journal as it stands. Journals are named, never numbered, outside an engine. */
export interface Journal {
  name: string;
  pool: string;
  /** dateAdded of the newest entry ever appended; null when none was. Never goes back, purge or not. */
  head: Micros | null;
  /** Stands for the definition and the views that the journal's entries satisfy; another than the configured until reconciled. */
  policyHash: string | null;
  keepVersions: 'last' | 'all';
}

/** TAXII 2.1 section 3.4.1 `match[version]`; a union of its parts. */
export interface VersionFilter {
  last: boolean;
  first: boolean;
  all: boolean;
  /** Exact versions, in microseconds. */
  exact: Micros[];
}

export interface EntryFilter {
  journal: string;
  /** Null: all. Entries of the company pass whatever the view. */
  observableTypes: readonly ObservableType[] | null;
  /** STIX types (`match[type]`); null: all. Applies to the company too. */
  stixTypes: readonly string[] | null;
  /** Object ids (`match[id]`); null: all. */
  objectIds: readonly string[] | null;
  versions: VersionFilter;
}

/** What a reader sees who asks for nothing else: the last version of every object, in a view that names these types. */
export function lastVersions(journal: string, observableTypes: EntryFilter['observableTypes'] = null): EntryFilter {
  const versions = { last: true, first: false, all: false, exact: [] };
  return { journal, observableTypes, stixTypes: null, objectIds: null, versions };
}

export interface PageQuery extends EntryFilter {
  /** Strictly after. */
  after: Micros;
  /** 1 or more. */
  limit: number;
}

export interface EntryPage {
  /** Ascending by dateAdded. */
  entries: Entry[];
  /** The filter has at least one entry behind the last of these. */
  more: boolean;
  validity: PageValidity;
}

/** Two pages for the same query with equal validity hold the same entries: what a page cache compares. */
export interface PageValidity {
  /**
   * Entries superseded or purged so far inside the range that the page covers (and, for a partial page, to the head). Negative, and
   * like no other, for a page whose beginning changed before its end was read.
   */
  changes: number;
  /** The journal's head when the page was read; matters only to a page without `more`. */
  head: Micros | null;
}

/** Live indicators, newest entry first. */
export interface LiveQuery {
  journal: string;
  observableTypes: readonly ObservableType[] | null;
  minConfidence: number | null;
  /** Inclusive bounds of the confidence, both or neither meaningful with minConfidence null. */
  maxConfidence: number | null;
  /** dateAdded strictly after / strictly before. */
  since: Micros | null;
  before: Micros | null;
  offset: number;
  limit: number;
}

export interface Reader extends Served, Refused {
  /** While this is the same number every question has the same answer. Null: that can't be known now. */
  state(): number | null;
  /** What is known to be wrong with the store as a whole; a full disk until it has room again. Null: nothing is. */
  fault(): StoreFault | null;
  journals(): Promise<Journal[]>;
  page(query: PageQuery): Promise<EntryPage>;
  /**
   * Hands the page's entries to `visit` one by one while they are read: only what is made of them is held, however long the
   * page. `visit` asks nothing of the store.
   */
  visitPage(query: PageQuery, visit: (entry: Entry) => void): Promise<Omit<EntryPage, 'entries'>>;
  /** What `page` would answer as validity of the range (after, until], null for the head: how a page cache asks. */
  validity(journal: string, after: Micros, until: Micros | null): Promise<PageValidity>;
  /** Versions of one object in a view, ascending, in microseconds; empty for an unknown object (versions filter ignored). */
  versions(
    filter: EntryFilter,
    after: Micros,
    limit: number,
  ): Promise<{ entries: { version: Micros; dateAdded: Micros }[]; more: boolean }>;
  /** Has the view ever held, and does it still hold, an entry of this object? */
  holds(filter: EntryFilter): Promise<boolean>;
  /** dateAdded of the newest entry the filter admits; null when none. */
  newest(filter: EntryFilter): Promise<Micros | null>;
  live(query: LiveQuery): Promise<{ entries: IndicatorEntry[]; more: boolean }>;
  /** How many entries `live` has for this query, its `limit` at most; none of them is read. */
  countMatching(query: LiveQuery): Promise<number>;
  /** Live entries of a journal per observable. */
  countLive(journal: string): Promise<Partial<Record<ObservableType, number>>>;
  /** Everything a journal holds on these observables now: the live entry and tombstones. */
  lookup(journal: string, keys: readonly ObservableKey[]): Promise<IndicatorEntry[]>;

  feedState(feed: string): Promise<FeedState>;
  feedStates(): Promise<FeedState[]>;
  account(name: string): Promise<AccountState>;
  accounts(): Promise<AccountState[]>;
  clients(): Promise<Client[]>;
  checkpoint(sink: string, view: string): Promise<Checkpoint | null>;
  /** All of a sink, by view. */
  checkpoints(sink: string): Promise<Checkpoint[]>;
  /** By view and date, behind `after` or from the first. */
  deadLetters(sink: string, after: Pick<DeadLetter, 'view' | 'dateAdded'> | null, limit: number): Promise<DeadLetter[]>;
  deadLetterCount(sink: string): Promise<number>;
  /** 36-character UUID made once per store: the namespace of every id that is issued here. */
  namespace(): Promise<string>;
  /** 32 random bytes made once per store, as hex: signs cursors, so they survive restarts and restored backups. */
  cursorSecret(): Promise<string>;
  close(): Promise<void>;
}

export interface Writer extends Reader {
  /**
   * Runs `work` in one transaction: all of it or nothing is kept, and readers see it only afterwards.
   * Transactions queue; they never nest. When `work` throws, everything in it is undone and the error passes through.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Starts taking in a feed. Rows seen are marked per pull, in memory; a pull that is dropped, or that a crash cuts, has
   * kept its rows and withdraws nothing.
   */
  beginPull(feed: string): Promise<Pull>;
}

/** One poll's rows. Opaque to everybody but the store that made it. */
export interface Pull {
  readonly feed: string;
}

/** An observation as it is kept. */
export type StoredObservation = Observation & { feed: string };

export interface Transaction extends Omit<Reader, 'close' | 'state' | 'fault'>, Verdicts, Refusals, Relations {
  // What feeds said.
  /**
   * Marks those that are kept in these very words as seen in the pull, and answers the others: `fresh` are those on keys that the
   * feed said nothing on. Nothing that was said is written. Each key may come once.
   */
  confirm(
    pull: Pull,
    observations: readonly Observation[],
  ): Promise<{ fresh: Observation[]; different: Observation[] }>;
  /**
   * Upserts by (feed, key) and marks each as seen in the pull. `changed`: new, or different in any property from what the
   * last pull brought first. `again`: this pull brought the key before and now says something else; those are not written,
   * but for `amend` to do, so that a feed which says one thing in two rows doesn't seem to change its mind in every pull.
   */
  observe(pull: Pull, observations: readonly Observation[]): Promise<Observed>;
  /**
   * Writes over what was observed, while the next `observe` still compares with the row that came first; answers the keys
   * whose observation is another now. Each key must have been observed.
   */
  amend(feed: string, observations: readonly Observation[]): Promise<ObservableKey[]>;
  /** The same for objects that pass verbatim, by (feed, id); answers those that are new or have another content. */
  observeObjects(pull: Pull, objects: readonly StixObject[]): Promise<StixObject[]>;
  /** Versions of those of these objects that the feed has said, by their ids. */
  objectVersions(feed: string, ids: readonly string[]): Promise<Map<string, string | null>>;
  /** Those of these keys on which the feed has an observation that the pull has seen. */
  seenKeys(pull: Pull, keys: readonly ObservableKey[]): Promise<Set<ObservableKey>>;
  /** How many of the feed's observations and objects the pull has not seen, of how many. */
  unseen(pull: Pull): Promise<{ unseen: number; total: number }>;
  /** How many different observations and objects the pull has marked as seen. */
  marked(pull: Pull): Promise<number>;
  /** Removes up to `limit` observations that the pull has not seen and answers their keys, ascending; empty: none is left. */
  removeUnseen(pull: Pull, limit: number): Promise<ObservableKey[]>;
  /** The same for objects; answers their ids. */
  removeUnseenObjects(pull: Pull, limit: number): Promise<string[]>;
  /**
   * Removes observations of a feed and counts them as `gone`: expired ones, or all those of a feed that was taken out of the
   * configuration.
   */
  removeObservations(feed: string, keys: readonly ObservableKey[]): Promise<void>;
  /**
   * What these feeds say about these observables, in no particular order. Members of `kept` come sorted, at every depth; all
   * else is, as text too, what was observed.
   */
  observations(feeds: readonly string[], keys: readonly ObservableKey[]): Promise<StoredObservation[]>;
  /** What the feed says by any of these upstream objects (`sourceId` and `others`), in no particular order. */
  saidBy(feed: string, ids: readonly string[]): Promise<StoredObservation[]>;
  /** Keeps the versions in which these upstream objects ended, in place of what was kept of them; none for one without a date. */
  rememberEnded(feed: string, statements: readonly Statement[], at: Micros): Promise<void>;
  /** What is kept of these objects, by their ids. */
  endedVersions(feed: string, ids: readonly string[]): Promise<Map<string, Micros>>;
  /** Removes up to `limit` that were last remembered before this time, the oldest first; answers how many. */
  forgetEnded(feed: string, before: Micros, limit: number): Promise<number>;
  /** Walks the keys that any of these feeds has an observation on, ascending; strictly after `after`. */
  observedKeys(feeds: readonly string[], after: ObservableKey | null, limit: number): Promise<ObservableKey[]>;
  /** Removes objects of a feed; answers the ids of those that were there. */
  removeObjects(feed: string, ids: readonly string[]): Promise<string[]>;
  /** What these feeds hold under these ids, for each id in the order in which they first said it. */
  objectsById(feeds: readonly string[], ids: readonly string[]): Promise<(StixObject & { feed: string })[]>;
  /** Walks the objects of these feeds, ascending by id, strictly after `after`. */
  objects(feeds: readonly string[], after: string | null, limit: number): Promise<(StixObject & { feed: string })[]>;
  /** Walks what of a feed bears one of these markings, ids of their definitions: keys, ascending and strictly after `after`. */
  markedKeys(
    feed: string,
    refs: readonly string[],
    after: ObservableKey | null,
    limit: number,
  ): Promise<ObservableKey[]>;
  /** The same for objects, by id. */
  markedObjects(feed: string, refs: readonly string[], after: string | null, limit: number): Promise<string[]>;
  /** Feeds that have observations or a state. */
  knownFeeds(): Promise<string[]>;

  // Journals.
  /** Makes it when it isn't there; changes nothing of one that is. */
  openJournal(definition: Pick<JournalDefinition, 'name' | 'pool' | 'keepVersions'>): Promise<Journal>;
  /** Null: whatever the configuration says, it is to be reconciled. */
  setPolicyHash(journal: string, hash: string | null): Promise<void>;
  /**
   * Reserves `count` dates: strictly rising, after all that the journal ever gave out, never later than now unless the
   * clock was set back, at most 500 in a millisecond. They are used by `append` in the same transaction or lost.
   */
  stamp(journal: string, count: number): Promise<Micros[]>;
  /** Appends in order of dateAdded, each at a date from `stamp`. `replaces` names dates of entries of the same journal. */
  append(journal: string, entries: readonly AppendEntry[]): Promise<void>;
  /** The live (unrevoked, not superseded) indicator entries on these observables. */
  liveEntries(journal: string, keys: readonly ObservableKey[]): Promise<IndicatorEntry[]>;
  /** Walks live keys, ascending, strictly after `after`. */
  liveKeys(journal: string, after: ObservableKey | null, limit: number): Promise<ObservableKey[]>;
  /** Sets when an entry must be looked at again; no new version. */
  setDue(journal: string, dues: readonly { dateAdded: Micros; due: Micros | null }[]): Promise<void>;
  /** Entries whose due time has come, oldest due first. */
  dueEntries(journal: string, now: Micros, limit: number): Promise<Entry[]>;
  /** The earliest due time of any journal. */
  nextDue(): Promise<Micros | null>;
  /** Entries leave without a word: tombstones whose keep is over. */
  purge(journal: string, dates: readonly Micros[]): Promise<void>;

  // Everything that is remembered besides.
  saveFeedState(feed: string, patch: Partial<Omit<FeedState, 'feed' | 'observations' | 'objects'>>): Promise<void>;
  removeFeed(feed: string): Promise<void>;
  saveAccount(state: AccountState): Promise<void>;
  saveClient(client: Client): Promise<void>;
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  removeCheckpoint(sink: string, view: string): Promise<void>;
  addDeadLetters(letters: readonly DeadLetter[]): Promise<void>;
  removeDeadLetters(sink: string, letters: readonly Pick<DeadLetter, 'view' | 'dateAdded'>[]): Promise<void>;
}

export interface Observed {
  changed: ObservableKey[];
  again: ObservableKey[];
}

export interface AppendEntry {
  entry: Entry;
  /** The entry that this one supersedes: dropped, or kept and marked where the journal keeps all versions. */
  replaces: Micros | null;
}

/** Rejected rows kept per feed; older ones go first, their number stays. */
export const MAX_REJECTIONS_PER_FEED = 10_000;
/** Dates in one millisecond: an OpenCTI client that cuts `added_after` to milliseconds moves on with a larger limit. */
export const MAX_DATES_PER_MILLISECOND = 500;

import type { Micros } from '../../model/clock.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { EntryFilter } from '../../model/entry-filter.ts';
import type { ObservableKey, ObservableType } from '../../model/observable.ts';

export interface PageQuery extends EntryFilter {
  /** Entries strictly after this date. */
  after: Micros;
  /** 1 or more. */
  limit: number;
}

export interface EntryPage {
  /** Ascending by dateAdded. */
  entries: Entry[];
  /** The filter admits at least one entry behind the last of these. */
  more: boolean;
  validity: PageValidity;
}

/** Two pages of one query with equal validity hold the same entries. */
export interface PageValidity {
  /**
   * Counts entries that were superseded or purged inside the range that the page covers (for a page without `more`, to the
   * head). Negative and unique for a page whose beginning changed before its end was read.
   */
  changes: number;
  /** The journal's head when the page was read. Matters only for a page without `more`. */
  head: Micros | null;
}

/** Asks for live indicators, newest entry first. */
export interface LiveQuery {
  journal: string;
  observableTypes: readonly ObservableType[] | null;
  /** Inclusive bounds, 0 to 100. An entry without a confidence is within no bound. Null: no bound. */
  minConfidence: number | null;
  maxConfidence: number | null;
  /** dateAdded strictly after and strictly before. */
  since: Micros | null;
  before: Micros | null;
  /** 0 or more. */
  offset: number;
  /** 1 or more. */
  limit: number;
}

/**
 * Entries of journals. A journal that was never opened reads as an empty one. Throws `internal` for a limit or an offset that is
 * no whole number in its bounds.
 */
export interface PageReader {
  page(query: PageQuery): Promise<EntryPage>;
  /**
   * Calls `visit` with each entry of the page while they are read, so that a page of any length is held by nobody. `visit` must not
   * call the store.
   */
  visitPage(query: PageQuery, visit: (entry: Entry) => void): Promise<Omit<EntryPage, 'entries'>>;
  /** The validity that `page` would return for the range (after, until]. `until` null: to the head. */
  validity(journal: string, after: Micros, until: Micros | null): Promise<PageValidity>;
  /**
   * Versions of the objects that the filter admits, ascending by dateAdded, strictly after `after`. The version filter is ignored.
   * Empty for an unknown object.
   */
  versions(
    filter: EntryFilter,
    after: Micros,
    limit: number,
  ): Promise<{ entries: { version: Micros; dateAdded: Micros }[]; more: boolean }>;
  /** Is there an entry that the filter admits, in whatever version? */
  holds(filter: EntryFilter): Promise<boolean>;
  /** dateAdded of the newest entry that the filter admits; null when there is none. */
  newest(filter: EntryFilter): Promise<Micros | null>;
  live(query: LiveQuery): Promise<{ entries: IndicatorEntry[]; more: boolean }>;
  /** How many entries `live` would return. Reads no entry. */
  countMatching(query: LiveQuery): Promise<number>;
  /** Live entries of a journal by observable type; types without any may be left out. */
  countLive(journal: string): Promise<Partial<Record<ObservableType, number>>>;
  /** The entries of the journal on these observables that are not superseded, tombstones included; ascending by dateAdded. */
  lookup(journal: string, keys: readonly ObservableKey[]): Promise<IndicatorEntry[]>;
}

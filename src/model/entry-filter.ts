import type { Micros } from './clock.ts';
import type { ObservableType } from './observable.ts';

/** TAXII 2.1 section 3.4.1 `match[version]`: the union of its parts. Without any part it admits nothing. */
export interface VersionFilter {
  last: boolean;
  first: boolean;
  all: boolean;
  /** Exact versions. */
  exact: Micros[];
}

/** Which entries of a journal a reader asks for. */
export interface EntryFilter {
  journal: string;
  /** Types that a collection's view names; null: all. Producer objects pass every view. */
  observableTypes: readonly ObservableType[] | null;
  /** STIX types (`match[type]`); null: all. Applies to producer objects too. */
  stixTypes: readonly string[] | null;
  /** Object ids (`match[id]`); null: all. */
  objectIds: readonly string[] | null;
  versions: VersionFilter;
}

/** Returns the filter of a reader that asks for nothing special: the last version of every object in the view. */
export function lastVersions(journal: string, observableTypes: EntryFilter['observableTypes'] = null): EntryFilter {
  const versions = { last: true, first: false, all: false, exact: [] };
  return { journal, observableTypes, stixTypes: null, objectIds: null, versions };
}

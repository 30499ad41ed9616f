import type { Micros } from '../../model/clock.ts';
import type { JournalDefinition } from '../../model/definition.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { ObservableKey } from '../../model/observable.ts';

/** The state of a journal. Outside of an engine, journals go by their names. */
export interface Journal {
  name: string;
  pool: string;
  /** dateAdded of the newest entry ever appended; null when none was. Never goes back, whatever is purged. */
  head: Micros | null;
  /** Stands for the definition and the views that the entries satisfy. Differs from the configured one until reconciled. */
  policyHash: string | null;
  keepVersions: 'last' | 'all';
}

export interface AppendEntry {
  entry: Entry;
  /** dateAdded of the entry that this one supersedes: removed, or kept and marked where the journal keeps all versions. */
  replaces: Micros | null;
}

export interface JournalReader {
  /** All journals, ascending by name. */
  journals(): Promise<Journal[]>;
}

/** Methods that write throw `internal` for a journal that was not opened; methods that read find nothing in it. */
export interface JournalWriter {
  /** Makes the journal where there is none; changes nothing of one that is there. */
  openJournal(definition: Pick<JournalDefinition, 'name' | 'pool' | 'keepVersions'>): Promise<Journal>;
  /** Null: the journal is to be reconciled, whatever the configuration says. */
  setPolicyHash(journal: string, hash: string | null): Promise<void>;
  /**
   * Reserves `count` dates: strictly rising, after all that the journal ever gave out, never later than now unless the clock was
   * set back, at most MAX_DATES_PER_MILLISECOND (limits.ts) in a millisecond. They are used by `append` in the same transaction or
   * lost.
   */
  stamp(journal: string, count: number): Promise<Micros[]>;
  /**
   * Appends, ascending by dateAdded, each at a date from `stamp`. Throws `internal` for another date, and when an entry that is
   * to be replaced is not there.
   */
  append(journal: string, entries: readonly AppendEntry[]): Promise<void>;
  /** The live (neither revoked nor superseded) indicator entries on these observables. */
  liveEntries(journal: string, keys: readonly ObservableKey[]): Promise<IndicatorEntry[]>;
  /** Keys with a live entry: ascending, strictly after `after`, up to `limit`. */
  liveKeys(journal: string, after: ObservableKey | null, limit: number): Promise<ObservableKey[]>;
  /** Sets when entries must be looked at again. Makes no new version. */
  setDue(journal: string, dues: readonly { dateAdded: Micros; due: Micros | null }[]): Promise<void>;
  /** Entries that are due at `now`, the earliest due first. */
  dueEntries(journal: string, now: Micros, limit: number): Promise<Entry[]>;
  /** The earliest due time of any journal; null when nothing is due. */
  nextDue(): Promise<Micros | null>;
  /** Removes entries without a tombstone: what readers were told long enough. Dates without an entry are passed over. */
  purge(journal: string, dates: readonly Micros[]): Promise<void>;
}

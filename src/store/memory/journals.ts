import type { Clock, Micros } from '../../model/clock.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { JournalReader, JournalWriter } from '../contract/journals.ts';
import { misuse, requireLimit } from '../misuse.ts';
import type { AppendEntry, Journal } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { JournalRow, View, WritableTables } from './database.ts';
import { keyOf, matching, pageOf } from './table.ts';

/** Microseconds between two dates: at most 500 fit in a millisecond (MAX_DATES_PER_MILLISECOND in limits.ts). */
const STEP: Micros = 2;

/** First dates that the running transaction stamped, by journal. */
export type Reservations = Map<string, Micros>;

export function readJournals(view: View): Sync<JournalReader> {
  return { journals: () => [...view.journals.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(toJournal) };
}

/** Throws `internal` for a journal that nobody opened. */
export function requireJournal(view: View, name: string): JournalRow {
  const journal = view.journals.get(name);
  if (journal === undefined) throw misuse(`there is no journal "${name}"`);
  return journal;
}

/** The entries of a journal, ascending by date. */
export function entriesOf(view: View, journal: string): Entry[] {
  return matching(view.entries, (row) => row.journal === journal).map(({ entry }) => entry);
}

export function writeJournals(tables: WritableTables, clock: Clock, reservations: Reservations): Sync<JournalWriter> {
  const entryAt = (journal: string, date: Micros) => tables.entries.get(keyOf(journal, date))?.entry;
  const put = (journal: string, entry: Entry): void =>
    tables.entries.set(keyOf(journal, entry.dateAdded), { journal, entry });
  const remove = (journal: string, date: Micros): void => tables.entries.delete(keyOf(journal, date));
  const live = (journal: string): IndicatorEntry[] => entriesOf(tables, journal).filter(isLive);

  const countChange = (journal: string, date: Micros): void => {
    const name = keyOf(journal, date);
    tables.changes.set(name, { journal, date, count: (tables.changes.get(name)?.count ?? 0) + 1 });
  };
  /** Where all versions are kept, an entry that comes or goes changes which of its object's others is the first. */
  const countOthers = ({ name, keepVersions }: JournalRow, dates: ReadonlySet<Micros>): void => {
    if (keepVersions === 'last' || dates.size === 0) return;
    const all = entriesOf(tables, name);
    const ids = new Set(all.flatMap(({ dateAdded, objectId }) => (dates.has(dateAdded) ? [objectId] : [])));
    for (const { dateAdded, objectId } of all)
      if (ids.has(objectId) && !dates.has(dateAdded)) countChange(name, dateAdded);
  };

  return {
    openJournal({ name, pool, keepVersions }) {
      const row = tables.journals.get(name) ?? { name, pool, head: null, policyHash: null, keepVersions, stamped: 0 };
      tables.journals.set(name, row);
      return toJournal(row);
    },

    setPolicyHash: (name, policyHash) => tables.journals.set(name, { ...requireJournal(tables, name), policyHash }),

    stamp(name, count) {
      const journal = requireJournal(tables, name);
      if (!Number.isSafeInteger(count) || count < 0) throw misuse(`${count} dates cannot be stamped`);
      if (count === 0) return [];
      // A batch is dated so that it ends now, unless the last dates lie too close to now or ahead of it.
      const first = Math.max(journal.stamped + STEP, clock.now() - (count - 1) * STEP);
      tables.journals.set(name, { ...journal, stamped: first + (count - 1) * STEP });
      if (!reservations.has(name)) reservations.set(name, first);
      return Array.from({ length: count }, (_, i) => first + i * STEP);
    },

    append(name, appended) {
      const journal = requireJournal(tables, name);
      let head = Math.max(journal.head ?? 0, (reservations.get(name) ?? Number.MAX_SAFE_INTEGER) - 1);
      for (const { entry } of appended) {
        if (entry.dateAdded <= head || entry.dateAdded > journal.stamped)
          throw misuse(`entries of "${name}" must be appended in order, at dates stamped in the same transaction`);
        requireSound(entry);
        head = entry.dateAdded;
        put(name, { ...entry });
      }
      if (appended.length > 0) tables.journals.set(name, { ...journal, head });
      for (const { replaces } of appended) if (replaces !== null) supersede(journal, replaces);
      countOthers(journal, new Set(appended.map(({ entry }) => entry.dateAdded)));
    },

    liveEntries(name, keys) {
      const wanted = new Set(keys);
      return live(name).filter(({ key }) => wanted.has(key));
    },

    liveKeys: (name, after, limit) =>
      pageOf(
        live(name).map(({ key }) => key),
        after,
        requireLimit(limit),
      ),

    setDue(name, dues) {
      requireJournal(tables, name);
      for (const { dateAdded, due } of dues) {
        const entry = entryAt(name, dateAdded);
        if (entry !== undefined) put(name, { ...entry, due });
      }
    },

    dueEntries(name, now, limit) {
      const dueOf = ({ due }: Entry): Micros => due ?? Number.MAX_SAFE_INTEGER;
      return entriesOf(tables, name)
        .filter((entry) => dueOf(entry) <= now)
        .sort((a, b) => dueOf(a) - dueOf(b))
        .slice(0, requireLimit(limit));
    },

    nextDue() {
      let next: Micros | null = null;
      for (const { entry } of tables.entries.values())
        if (entry.due !== null && (next === null || entry.due < next)) next = entry.due;
      return next;
    },

    purge(name, dates) {
      const journal = requireJournal(tables, name);
      const standing = dates.filter((date) => entryAt(name, date) !== undefined);
      countOthers(journal, new Set(standing));
      for (const date of new Set(standing)) {
        remove(name, date);
        countChange(name, date);
      }
    },
  };

  function supersede({ name, keepVersions }: JournalRow, date: Micros): void {
    const entry = entryAt(name, date);
    if (entry === undefined || entry.superseded)
      throw misuse(`an entry of "${name}" that is to be replaced is not there`);
    if (keepVersions === 'last') remove(name, date);
    // What is superseded needs no second look.
    else put(name, { ...entry, superseded: true, due: null });
    countChange(name, date);
  }
}

export function isLive(entry: Entry): entry is IndicatorEntry {
  return entry.kind === 'indicator' && !entry.revoked && !entry.superseded;
}

function requireSound(entry: AppendEntry['entry']): void {
  const at = entry.objectId.indexOf('--');
  if (at < 1) throw misuse(`"${entry.objectId}" is no object id`);
  if (entry.kind === 'object') {
    if (entry.stixType !== entry.objectId.slice(0, at))
      throw misuse(`object ${entry.objectId} cannot be of type "${entry.stixType}"`);
    return;
  }
  const { version, generation, created, validFrom, validUntil, confidence, firstSeen, lastSeen, due } = entry;
  for (const number of [version, generation, created, validFrom, validUntil, confidence, firstSeen, lastSeen, due])
    if (number !== null && typeof number !== 'number') throw new Error(`"${number}" is no number`);
}

function toJournal({ name, pool, head, policyHash, keepVersions }: JournalRow): Journal {
  return { name, pool, head, policyHash, keepVersions };
}

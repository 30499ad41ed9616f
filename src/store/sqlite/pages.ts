import type { Micros } from '../../model/clock.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { ObservableKey, ObservableType } from '../../model/observable.ts';
import type { EntryPage, PageQuery, PageValidity, Reader, VersionFilter } from '../store.ts';
import { type Connection, requireLimit, type Sync } from './connection.ts';
import { findJournal, type JournalRow } from './journals.ts';
import { type EntryRow, type EntryType, entryFromRow, TAKE_ENTRY } from './rows.ts';
import { changesWithin } from './segments.ts';
import { type Selection, select, selectCount, selectNearby, type Wanted, wantFiltered, wantLive } from './selection.ts';
import { isLive, readStanding, type Standing } from './standing.ts';

type Pages = Pick<
  Reader,
  | 'page'
  | 'visitPage'
  | 'versions'
  | 'holds'
  | 'newest'
  | 'live'
  | 'countMatching'
  | 'countLive'
  | 'lookup'
  | 'validity'
>;

const EVERY_VERSION: VersionFilter = { last: false, first: false, all: true, exact: [] };

/** What readers ask of journals. A journal that isn't there reads as an empty one. */
export function readPages(connection: Connection): Sync<Pages> {
  /** `work` on the journal and what stands in it, or `nothing` when there is no such journal. */
  const within = <T>(name: string, nothing: T, work: (journal: JournalRow, standing: Standing[]) => T): T => {
    const journal = findJournal(connection, name);
    return journal === undefined ? nothing : work(journal, readStanding(connection, journal.id));
  };

  const visitPage = (query: PageQuery, visit: (entry: Entry) => void): Omit<EntryPage, 'entries'> => {
    requireLimit(query.limit);
    const nothing = { more: false, validity: { changes: 0, head: null } as PageValidity };
    return within(query.journal, nothing, (journal, standing) => {
      let left = query.limit;
      let last: Micros | null = null;
      const wanted = wantFiltered(journal, standing, query, query.after, query.limit + 1);
      const found = eachEntry(connection, wanted, (entry) => {
        // One more is read only to know whether there is more.
        if (left === 0) return;
        left -= 1;
        last = entry.dateAdded;
        visit(entry);
      });
      const more = found > query.limit;
      const changes = changesWithin(connection, journal.id, query.after, more ? last : null);
      return { more, validity: { changes, head: journal.head } };
    });
  };

  return {
    page(query) {
      const entries: Entry[] = [];
      return { entries, ...visitPage(query, (entry) => entries.push(entry)) };
    },

    visitPage,

    validity(name, after, until) {
      const nothing: PageValidity = { changes: 0, head: null };
      const journal = findJournal(connection, name);
      if (journal === undefined) return nothing;
      return { changes: changesWithin(connection, journal.id, after, until), head: journal.head };
    },

    versions(filter, after, limit) {
      requireLimit(limit);
      const nothing = { entries: [] as { version: Micros; dateAdded: Micros }[], more: false };
      return within(filter.journal, nothing, (journal, standing) => {
        const wanted = wantFiltered(journal, standing, { ...filter, versions: EVERY_VERSION }, after, limit + 1);
        const rows = fetchRows<[Micros, Micros]>(connection, wanted, 'e.version, e.date_added');
        const entries = rows.map(([version, dateAdded]) => ({ version, dateAdded })).sort(byDate);
        const more = cut(entries, limit);
        return { entries, more };
      });
    },

    holds(filter) {
      return within(filter.journal, false, (journal, standing) => {
        const wanted = wantFiltered(journal, standing, { ...filter, versions: EVERY_VERSION }, 0, 1);
        return fetchRows(connection, wanted, 'e.date_added').length > 0;
      });
    },

    newest(filter) {
      return within(filter.journal, null as Micros | null, (journal, standing) => {
        const wanted = { ...wantFiltered(journal, standing, filter, 0, 1), newestFirst: true };
        return fetchRows<[Micros]>(connection, wanted, 'e.date_added')[0]?.[0] ?? null;
      });
    },

    live(query) {
      requireLimit(query.limit);
      requireLimit(query.offset, 0);
      const nothing = { entries: [] as IndicatorEntry[], more: false };
      return within(query.journal, nothing, (journal, standing) => {
        const entries: IndicatorEntry[] = [];
        eachEntry(connection, wantLive(journal, standing, query), (entry) => entries.push(entry as IndicatorEntry));
        const more = cut(entries, query.limit);
        return { entries, more };
      });
    },

    countMatching(query) {
      requireLimit(query.limit);
      requireLimit(query.offset, 0);
      return within(query.journal, 0, (journal, standing) => {
        const selection = selectCount({ ...wantLive(journal, standing, query), limit: query.limit });
        return selection === null ? 0 : (connection.allNamed<[number]>(selection.sql, selection.values)[0]?.[0] ?? 0);
      });
    },

    countLive(name) {
      return within(name, {} as Partial<Record<ObservableType, number>>, (_journal, standing) => {
        const counts: Partial<Record<ObservableType, number>> = {};
        for (const part of standing) {
          if (part.observable === null || !isLive(part)) continue;
          counts[part.observable] = (counts[part.observable] ?? 0) + part.entries;
        }
        return counts;
      });
    },

    lookup(name, keys) {
      return within(name, [] as IndicatorEntry[], (journal, standing) =>
        entriesOnKeys(connection, journal, standing, keys, ''),
      );
    },
  };
}

/** The standing entries on these keys, ascending by date; `and` narrows them further. */
export function entriesOnKeys(
  connection: Connection,
  journal: JournalRow,
  types: readonly EntryType[],
  keys: readonly ObservableKey[],
  and: '' | 'AND e.revoked = 0',
): IndicatorEntry[] {
  const entries: IndicatorEntry[] = [];
  const byCode = byCodeOf(types);
  connection.each<EntryRow>(
    `SELECT ${TAKE_ENTRY} FROM json_each(?) k CROSS JOIN entries e INDEXED BY entries_by_key
     ON e.journal = ? AND e.key = unhex(k.value) AND e.superseded = 0 ${and}`,
    [JSON.stringify([...new Set(keys)]), journal.id],
    (row) => entries.push(entryFromRow(row, byCode) as IndicatorEntry),
  );
  return entries.sort(byDate);
}

/** Visits what is wanted, in its order; answers how many there were. */
function eachEntry(connection: Connection, wanted: Wanted, visit: (entry: Entry) => void): number {
  const byCode = byCodeOf(wanted.standing);
  const sign = wanted.newestFirst ? -1 : 1;
  let reached = Number.NEGATIVE_INFINITY;
  const read = (selection: Selection | null): number => {
    if (selection === null) return 0;
    return connection.each<EntryRow>(selection.sql, selection.values, (row) => {
      const entry = entryFromRow(row, byCode);
      // A join keeps the order of its outer loop in practice; whoever pages must be able to rely on it.
      if (sign * entry.dateAdded <= reached) throw new Error('entries came out of order');
      reached = sign * entry.dateAdded;
      visit(entry);
    });
  };
  const nearby = selectNearby(connection, wanted, TAKE_ENTRY);
  if (nearby === null) return read(select(wanted, TAKE_ENTRY));
  const found = read(nearby);
  if (found === wanted.limit || nearby.beyond === null) return found;
  return found + read(select({ ...nearby.beyond, limit: wanted.limit - found }, TAKE_ENTRY));
}

function fetchRows<Row extends readonly unknown[]>(connection: Connection, wanted: Wanted, columns: string): Row[] {
  const selection = select(wanted, columns);
  return selection === null ? [] : connection.allNamed<Row>(selection.sql, selection.values);
}

function byCodeOf(types: readonly EntryType[]): Map<number, EntryType> {
  return new Map(types.map((type) => [type.code, type]));
}

function byDate(a: { dateAdded: Micros }, b: { dateAdded: Micros }): number {
  return a.dateAdded - b.dateAdded;
}

/** Takes off the one entry that was asked for only to know whether there is more. */
function cut(entries: unknown[], limit: number): boolean {
  if (entries.length <= limit) return false;
  entries.length = limit;
  return true;
}

import type { Micros } from '../../model/clock.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { ObservableKey, ObservableType } from '../../model/observable.ts';
import type { EntryPage, PageValidity, Reader, VersionFilter } from '../store.ts';
import { type Connection, requireLimit, type Sync } from './connection.ts';
import { findJournal, type JournalRow } from './journals.ts';
import { type EntryRow, type EntryType, entryFromRow, TAKE_ENTRY } from './rows.ts';
import { changesWithin } from './segments.ts';
import { select, selectCount, selectNearby, type Wanted, wantFiltered, wantLive } from './selection.ts';
import { isLive, readStanding, type Standing } from './standing.ts';

type Pages = Pick<
  Reader,
  'page' | 'versions' | 'holds' | 'newest' | 'live' | 'countMatching' | 'countLive' | 'lookup' | 'validity'
>;

const EVERY_VERSION: VersionFilter = { last: false, first: false, all: true, exact: [] };

/** What readers ask of journals. A journal that isn't there reads as an empty one. */
export function readPages(connection: Connection): Sync<Pages> {
  /** `work` on the journal and what stands in it, or `nothing` when there is no such journal. */
  const within = <T>(name: string, nothing: T, work: (journal: JournalRow, standing: Standing[]) => T): T => {
    const journal = findJournal(connection, name);
    return journal === undefined ? nothing : work(journal, readStanding(connection, journal.id));
  };

  return {
    page(query) {
      requireLimit(query.limit);
      const nothing: EntryPage = { entries: [], more: false, validity: { changes: 0, head: null } };
      return within(query.journal, nothing, (journal, standing) => {
        const wanted = wantFiltered(journal, standing, query, query.after, query.limit + 1);
        const entries = fetchEntries(connection, wanted);
        const more = cut(entries, query.limit);
        const until = more ? (entries.at(-1)?.dateAdded ?? null) : null;
        const changes = changesWithin(connection, journal.id, query.after, until);
        return { entries, more, validity: { changes, head: journal.head } };
      });
    },

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
        const entries = fetchEntries(connection, wantLive(journal, standing, query)) as IndicatorEntry[];
        entries.reverse();
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
  const rows = connection.taken<EntryRow>(
    `SELECT ${TAKE_ENTRY} FROM json_each(?) k CROSS JOIN entries e INDEXED BY entries_by_key
     ON e.journal = ? AND e.key = unhex(k.value) AND e.superseded = 0 ${and}`,
    JSON.stringify([...new Set(keys)]),
    journal.id,
  );
  return toEntries(rows, types) as IndicatorEntry[];
}

function fetchEntries(connection: Connection, wanted: Wanted): Entry[] {
  const nearby = selectNearby(connection, wanted, TAKE_ENTRY);
  if (nearby !== null) {
    const rows = connection.taken<EntryRow>(nearby.sql, nearby.values);
    if (nearby.isAll || rows.length === wanted.limit) return toEntries(rows, wanted.standing);
  }
  const selection = select(wanted, TAKE_ENTRY);
  return selection === null ? [] : toEntries(connection.taken(selection.sql, selection.values), wanted.standing);
}

function fetchRows<Row extends readonly unknown[]>(connection: Connection, wanted: Wanted, columns: string): Row[] {
  const selection = select(wanted, columns);
  return selection === null ? [] : connection.allNamed<Row>(selection.sql, selection.values);
}

/** Ascending by date: a join keeps the order of its outer loop in practice, and sorting what is sorted costs nothing. */
function toEntries(rows: EntryRow[], types: readonly EntryType[]): Entry[] {
  const byCode = new Map(types.map((type) => [type.code, type]));
  return rows.map((row) => entryFromRow(row, byCode)).sort(byDate);
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

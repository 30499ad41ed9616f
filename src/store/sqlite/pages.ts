import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { ObservableKey, ObservableType } from '../../model/observable.ts';
import type { EntryFilter, LiveQuery, PageQuery, Reader } from '../store.ts';
import { type Connection, requireLimit, type Sync } from './connection.ts';
import { findJournal, type JournalRow } from './journals.ts';
import { ENTRY_COLUMNS, type EntryRow, type EntryType, entryFromRow } from './rows.ts';
import { changesWithin } from './segments.ts';
import { admit, type Selection, type Standing, select, standingTypes, whereVersion } from './selection.ts';

type Pages = Pick<Reader, 'page' | 'versions' | 'holds' | 'newest' | 'live' | 'countLive' | 'lookup' | 'validity'>;

/** What readers ask of journals. A journal that isn't there reads as an empty one. */
export function readPages(connection: Connection): Sync<Pages> {
  /** `work` on the journal and its types, or `nothing` when there is no such journal. */
  const within = <T>(name: string, nothing: T, work: (journal: JournalRow, types: Standing[]) => T): T => {
    const journal = findJournal(connection, name);
    return journal === undefined ? nothing : work(journal, standingTypes(connection, journal.id));
  };

  return {
    page(query: PageQuery) {
      requireLimit(query.limit);
      const nothing = { entries: [] as Entry[], more: false, validity: { changes: 0, head: null as number | null } };
      return within(query.journal, nothing, (journal, types) => {
        const selection = selectFor(journal, types, query, query.after, query.limit + 1);
        const entries = fetchEntries(connection, selection, types);
        const more = entries.length > query.limit;
        if (more) entries.pop();
        const last = entries.at(-1)?.dateAdded ?? query.after;
        const changes = changesWithin(connection, journal.id, query.after, more ? last : null);
        return { entries, more, validity: { changes, head: journal.head } };
      });
    },

    validity(journalName, after, until) {
      return within(journalName, { changes: 0, head: null as number | null }, (journal) => ({
        changes: changesWithin(connection, journal.id, after, until),
        head: journal.head,
      }));
    },

    versions(filter, after, limit) {
      requireLimit(limit);
      const nothing = { entries: [] as { version: number; dateAdded: number }[], more: false };
      return within(filter.journal, nothing, (journal, types) => {
        const selection = selectFor(journal, types, { ...filter, versions: EVERY_VERSION }, after, limit + 1);
        const rows = fetchRows<[number, number]>(connection, selection, 'e.version, e.date_added');
        const entries = rows.map(([version, dateAdded]) => ({ version, dateAdded }));
        entries.sort((a, b) => a.dateAdded - b.dateAdded);
        const more = entries.length > limit;
        if (more) entries.pop();
        return { entries, more };
      });
    },

    holds(filter) {
      return within(filter.journal, false, (journal, types) => {
        if (filter.objectIds === null) return admit(types, filter).length > 0;
        const selection = selectFor(journal, types, { ...filter, versions: EVERY_VERSION }, 0, 1);
        return datesOf(connection, selection).length > 0;
      });
    },

    newest(filter) {
      return within(filter.journal, null as number | null, (journal, types) => {
        const selection = select({
          journal,
          types,
          admitted: admit(types, filter),
          objectIds: filter.objectIds,
          condition: whereVersion(journal, filter.versions),
          after: 0,
          before: null,
          newestFirst: true,
          limit: 1,
          offset: 0,
        });
        return datesOf(connection, selection)[0] ?? null;
      });
    },

    live(query: LiveQuery) {
      requireLimit(query.limit);
      requireLimit(query.offset, 0);
      const nothing = { entries: [] as IndicatorEntry[], more: false };
      return within(query.journal, nothing, (journal, types) => {
        const entries = fetchEntries(connection, selectLive(journal, types, query), types) as IndicatorEntry[];
        entries.reverse();
        const more = entries.length > query.limit;
        if (more) entries.pop();
        return { entries, more };
      });
    },

    countLive(journalName) {
      return within(journalName, {} as Partial<Record<ObservableType, number>>, (_journal, types) => {
        const counts: Partial<Record<ObservableType, number>> = {};
        for (const { observable, live } of types) {
          if (observable !== null && live > 0) counts[observable] = (counts[observable] ?? 0) + live;
        }
        return counts;
      });
    },

    lookup(journalName, keys) {
      return within(journalName, [] as IndicatorEntry[], (journal, types) =>
        entriesOnKeys(connection, journal, types, keys, ''),
      );
    },
  };
}

const EVERY_VERSION = { last: false, first: false, all: true, exact: [] };

/** The standing entries on these keys, ascending by date; `and` narrows them further. */
export function entriesOnKeys(
  connection: Connection,
  journal: JournalRow,
  types: readonly Standing[],
  keys: readonly ObservableKey[],
  and: '' | 'AND e.revoked = 0',
): IndicatorEntry[] {
  const rows = connection.all<EntryRow>(
    `SELECT ${ENTRY_COLUMNS} FROM json_each(?) k CROSS JOIN entries e INDEXED BY entries_by_key
     ON e.journal = ? AND e.key = unhex(k.value) AND e.superseded = 0 ${and}`,
    JSON.stringify([...new Set(keys)]),
    journal.id,
  );
  return toEntries(rows, types) as IndicatorEntry[];
}

function selectFor(
  journal: JournalRow,
  types: Standing[],
  filter: EntryFilter,
  after: number,
  limit: number,
): Selection | null {
  return select({
    journal,
    types,
    admitted: admit(types, filter),
    objectIds: filter.objectIds,
    condition: whereVersion(journal, filter.versions),
    after,
    before: null,
    newestFirst: false,
    limit,
    offset: 0,
  });
}

/** Exported for the test that reads its plan. */
export function selectLive(journal: JournalRow, types: Standing[], query: LiveQuery): Selection | null {
  const { observableTypes, minConfidence, maxConfidence } = query;
  const conditions = ['e.superseded = 0 AND e.revoked = 0'];
  if (minConfidence !== null) conditions.push('e.confidence >= :least');
  if (maxConfidence !== null) conditions.push('e.confidence <= :most');
  return select({
    journal,
    types,
    admitted: types.filter(
      ({ observable, live }) =>
        observable !== null && live > 0 && (observableTypes === null || observableTypes.includes(observable)),
    ),
    objectIds: null,
    condition: { sql: conditions.join(' AND '), values: { least: minConfidence, most: maxConfidence } },
    after: query.since ?? 0,
    before: query.before,
    newestFirst: true,
    limit: query.limit + 1,
    offset: query.offset,
  });
}

function datesOf(connection: Connection, selection: Selection | null): number[] {
  if (selection === null) return [];
  return connection.allNamed<[number]>(selection.sql, selection.values).map(([date]) => date);
}

function fetchEntries(connection: Connection, selection: Selection | null, types: readonly Standing[]): Entry[] {
  return toEntries(fetchRows<EntryRow>(connection, selection, ENTRY_COLUMNS), types);
}

/** The selected dates come from narrow indexes; only what they name is read whole. */
function fetchRows<Row extends readonly unknown[]>(
  connection: Connection,
  selection: Selection | null,
  columns: string,
): Row[] {
  if (selection === null) return [];
  return connection.allNamed<Row>(
    `SELECT ${columns} FROM (${selection.sql}) s CROSS JOIN entries e
     ON e.journal = :journal AND e.date_added = s.date_added`,
    selection.values,
  );
}

/** Ascending by date: a join keeps the order of its outer loop in practice, and sorting what is sorted costs nothing. */
function toEntries(rows: EntryRow[], types: readonly EntryType[]): Entry[] {
  const byCode = new Map(types.map((type) => [type.code, type]));
  return rows.map((row) => entryFromRow(row, byCode)).sort((a, b) => a.dateAdded - b.dateAdded);
}

import type { Micros } from '../../model/clock.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { VersionFilter } from '../../model/entry-filter.ts';
import type { ObservableKey, ObservableType } from '../../model/observable.ts';
import { requireLimit } from '../misuse.ts';
import type { PageValidity, Reader } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { type EntryRow, type EntryType, entryFromRow, TAKE_ENTRY } from './entry-rows.ts';
import { findJournal, type JournalRow } from './journals.ts';
import { changesWithin } from './segments.ts';
import { type EntryQuery, filteredQuery, liveEntriesQuery, type Statement, select, selectNearby } from './selection.ts';
import { isLive, readTypeCounts, type TypeCount } from './type-counts.ts';
import { type Found, type Walk, walk, walkCount } from './walk.ts';

type Pages = Pick<Reader, 'versions' | 'holds' | 'countLive' | 'lookup' | 'validity'>;

const EVERY_VERSION: VersionFilter = { last: false, first: false, all: true, exact: [] };

/** What is read in steps, each method as a walk. */
export type Walks = {
  [K in 'page' | 'visitPage' | 'newest' | 'live' | 'countMatching']: (
    ...args: Parameters<Reader[K]>
  ) => Walk<Awaited<ReturnType<Reader[K]>>>;
};

/** Pages so far whose beginning changed before their end was read. */
let torn = 0;

/** What readers ask of journals and may pass over much to find. A journal that isn't there reads as an empty one. */
export function walkPages(connection: Connection): Walks {
  const visitPage: Walks['visitPage'] = function* ({ journal: name, after, limit, ...filter }, visit) {
    requireLimit(limit);
    const want = (journal: JournalRow, typeCounts: TypeCount[]) =>
      filteredQuery(journal, typeCounts, filter, after, limit + 1);
    let left = limit;
    let last: Micros | null = null;
    const steps = walk(connection, name, want, (stretch) =>
      readEntries(connection, stretch, (entry) => {
        // One more is read only to know whether there is more.
        if (left === 0) return;
        left -= 1;
        last = entry.dateAdded;
        visit(entry);
      }),
    );
    let isTorn = false;
    const changesUpTo = (until: Micros | null): number => {
      const journal = findJournal(connection, name);
      return journal === undefined ? 0 : changesWithin(connection, journal.id, after, until);
    };
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) {
        const more = step.value > limit;
        // What nothing changed in until the end was read is as it stands now; else it is right at no time, and like no other.
        if (isTorn) torn += 1;
        const changes = isTorn ? -torn : changesUpTo(more ? last : null);
        return { more, validity: { changes, head: findJournal(connection, name)?.head ?? null } };
      }
      const changes = changesUpTo(step.value);
      yield step.value;
      isTorn ||= changesUpTo(step.value) !== changes;
    }
  };

  return {
    visitPage,

    *page(query) {
      const entries: Entry[] = [];
      return { entries, ...(yield* visitPage(query, (entry) => entries.push(entry))) };
    },

    *newest({ journal: name, ...filter }) {
      let newest: Micros | null = null;
      const want = (journal: JournalRow, typeCounts: TypeCount[]) => ({
        ...filteredQuery(journal, typeCounts, filter, 0, 1),
        newestFirst: true,
      });
      yield* walk(connection, name, want, (stretch) => {
        const rows = fetchRows<[Micros]>(connection, stretch, 'e.date_added');
        newest = rows[0]?.[0] ?? null;
        return { count: rows.length, last: newest };
      });
      return newest;
    },

    *live(query) {
      requireLimit(query.limit);
      requireLimit(query.offset, 0);
      const entries: IndicatorEntry[] = [];
      const want = (journal: JournalRow, typeCounts: TypeCount[]) => liveEntriesQuery(journal, typeCounts, query);
      yield* walk(connection, query.journal, want, (stretch) =>
        readEntries(connection, stretch, (entry) => entries.push(indicatorOf(entry))),
      );
      const more = cut(entries, query.limit);
      return { entries, more };
    },

    *countMatching(query) {
      requireLimit(query.limit);
      requireLimit(query.offset, 0);
      const { limit, offset } = query;
      // All are passed over, up to so many.
      const want = (journal: JournalRow, typeCounts: TypeCount[]) => ({
        ...liveEntriesQuery(journal, typeCounts, query),
        offset: 0,
        limit: limit + offset,
      });
      const counted = yield* walkCount(connection, query.journal, want);
      return Math.max(0, counted - offset);
    },
  };
}

/** What readers ask of journals and is found at once. */
export function readPages(connection: Connection): Sync<Pages> {
  /** `work` on the journal and what stands in it, or `nothing` when there is no such journal. */
  const within = <T>(name: string, nothing: T, work: (journal: JournalRow, typeCounts: TypeCount[]) => T): T => {
    const journal = findJournal(connection, name);
    return journal === undefined ? nothing : work(journal, readTypeCounts(connection, journal.id));
  };

  return {
    validity(name, after, until) {
      const nothing: PageValidity = { changes: 0, head: null };
      const journal = findJournal(connection, name);
      if (journal === undefined) return nothing;
      return { changes: changesWithin(connection, journal.id, after, until), head: journal.head };
    },

    versions(filter, after, limit) {
      requireLimit(limit);
      const nothing = { entries: [] as { version: Micros; dateAdded: Micros }[], more: false };
      return within(filter.journal, nothing, (journal, typeCounts) => {
        const wanted = filteredQuery(journal, typeCounts, { ...filter, versions: EVERY_VERSION }, after, limit + 1);
        const rows = fetchRows<[Micros, Micros]>(connection, wanted, 'e.version, e.date_added');
        const entries = rows.map(([version, dateAdded]) => ({ version, dateAdded })).sort(byDate);
        const more = cut(entries, limit);
        return { entries, more };
      });
    },

    holds(filter) {
      return within(filter.journal, false, (journal, typeCounts) => {
        const wanted = filteredQuery(journal, typeCounts, { ...filter, versions: EVERY_VERSION }, 0, 1);
        return fetchRows(connection, wanted, 'e.date_added').length > 0;
      });
    },

    countLive(name) {
      return within(name, {} as Partial<Record<ObservableType, number>>, (_journal, typeCounts) => {
        const counts: Partial<Record<ObservableType, number>> = {};
        for (const part of typeCounts) {
          if (part.observable === null || !isLive(part)) continue;
          counts[part.observable] = (counts[part.observable] ?? 0) + part.entries;
        }
        return counts;
      });
    },

    lookup(name, keys) {
      return within(name, [] as IndicatorEntry[], (journal, typeCounts) =>
        entriesOnKeys(connection, journal, typeCounts, keys, ''),
      );
    },
  };
}

/** The entries on these keys that no later one superseded, oldest first; `and` narrows them further. */
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
    (row) => entries.push(indicatorOf(entryFromRow(row, byCode))),
  );
  return entries.sort(byDate);
}

function indicatorOf(entry: Entry): IndicatorEntry {
  if (entry.kind !== 'indicator') throw new Error(`${entry.objectId} is no indicator`);
  return entry;
}

/** Visits what is wanted, in its order. */
function readEntries(connection: Connection, wanted: EntryQuery, visit: (entry: Entry) => void): Found {
  const byCode = byCodeOf(wanted.typeCounts);
  const sign = wanted.newestFirst ? -1 : 1;
  let last: Micros | null = null;
  const read = (selection: Statement | null): number => {
    if (selection === null) return 0;
    return connection.each<EntryRow>(selection.sql, selection.values, (row) => {
      const entry = entryFromRow(row, byCode);
      // A join keeps the order of its outer loop in practice; whoever pages must be able to rely on it.
      if (last !== null && sign * entry.dateAdded <= sign * last) throw new Error('entries came out of order');
      last = entry.dateAdded;
      visit(entry);
    });
  };
  const nearby = selectNearby(connection, wanted, TAKE_ENTRY);
  if (nearby === null) return { count: read(select(wanted, TAKE_ENTRY)), last };
  const count = read(nearby);
  if (count === wanted.limit || nearby.beyond === null) return { count, last };
  return { count: count + read(select({ ...nearby.beyond, limit: wanted.limit - count }, TAKE_ENTRY)), last };
}

function fetchRows<Row extends readonly unknown[]>(connection: Connection, wanted: EntryQuery, columns: string): Row[] {
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

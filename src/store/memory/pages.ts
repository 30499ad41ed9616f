import type { Micros } from '../../model/clock.ts';
import type { Entry, IndicatorEntry } from '../../model/entry.ts';
import type { EntryFilter } from '../../model/entry-filter.ts';
import type { ObservableType } from '../../model/observable.ts';
import type { PageReader } from '../contract/pages.ts';
import { requireLimit } from '../misuse.ts';
import type { LiveQuery, PageQuery, PageValidity } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { View } from './database.ts';
import { entriesOf, isLive } from './journals.ts';

export function readPages(view: View): Sync<PageReader> {
  const validity = (journal: string, after: Micros, until: Micros | null): PageValidity => {
    let changes = 0;
    for (const row of view.changes.values()) {
      if (row.journal === journal && row.date > after && row.date <= (until ?? row.date)) changes += row.count;
    }
    return { changes, head: view.journals.get(journal)?.head ?? null };
  };

  const page = ({ after, limit, ...filter }: PageQuery) => {
    requireLimit(limit);
    const found = admitted(view, filter).filter(({ dateAdded }) => dateAdded > after);
    const entries = found.slice(0, limit);
    const more = found.length > limit;
    return {
      entries,
      more,
      validity: validity(filter.journal, after, more ? (entries.at(-1)?.dateAdded ?? null) : null),
    };
  };

  return {
    page,

    visitPage(query, visit) {
      const { entries, ...rest } = page(query);
      for (const entry of entries) visit(entry);
      return rest;
    },

    validity,

    versions(filter, after, limit) {
      requireLimit(limit);
      const found = admitted(view, anyVersion(filter)).filter(({ dateAdded }) => dateAdded > after);
      const entries = found.slice(0, limit).map(({ version, dateAdded }) => ({ version, dateAdded }));
      return { entries, more: found.length > limit };
    },

    holds: (filter) => admitted(view, anyVersion(filter)).length > 0,
    newest: (filter) => admitted(view, filter).at(-1)?.dateAdded ?? null,

    live(query) {
      const found = matchingLive(view, query);
      return { entries: found.slice(0, query.limit), more: found.length > query.limit };
    },

    countMatching: (query) => Math.min(matchingLive(view, query).length, query.limit),

    countLive(journal) {
      const counts: Partial<Record<ObservableType, number>> = {};
      for (const { type } of entriesOf(view, journal).filter(isLive)) counts[type] = (counts[type] ?? 0) + 1;
      return counts;
    },

    lookup(journal, keys) {
      const wanted = new Set(keys);
      return entriesOf(view, journal).filter(
        (entry): entry is IndicatorEntry => entry.kind === 'indicator' && !entry.superseded && wanted.has(entry.key),
      );
    },
  };
}

/** Behind the offset, newest first. */
function matchingLive(view: View, query: LiveQuery): IndicatorEntry[] {
  const { journal, observableTypes, minConfidence, maxConfidence, since, before } = query;
  requireLimit(query.limit);
  requireLimit(query.offset, 0);
  const hasBounds = minConfidence !== null || maxConfidence !== null;
  return entriesOf(view, journal)
    .filter(isLive)
    .filter(
      ({ type, confidence, dateAdded }) =>
        (observableTypes === null || observableTypes.includes(type)) &&
        (!hasBounds ||
          (confidence !== null && confidence >= (minConfidence ?? 0) && confidence <= (maxConfidence ?? confidence))) &&
        dateAdded > (since ?? 0) &&
        dateAdded < (before ?? Number.MAX_SAFE_INTEGER),
    )
    .reverse()
    .slice(query.offset);
}

function anyVersion(filter: EntryFilter): EntryFilter {
  return { ...filter, versions: { last: false, first: false, all: true, exact: [] } };
}

/** What the filter admits, ascending by date. */
function admitted(view: View, { journal, observableTypes, stixTypes, objectIds, versions }: EntryFilter): Entry[] {
  const all = entriesOf(view, journal);
  const ids = objectIds === null ? null : new Set(objectIds);
  const firsts = versions.first ? firstVersions(all) : null;
  return all.filter((entry) => {
    const isProducer = entry.kind === 'object' && entry.isProducerObject;
    const isInView =
      observableTypes === null || isProducer || (entry.kind === 'indicator' && observableTypes.includes(entry.type));
    return (
      isInView &&
      (stixTypes === null || stixTypes.includes(stixTypeOf(entry))) &&
      (ids === null || ids.has(entry.objectId)) &&
      (versions.all ||
        (versions.last && !entry.superseded) ||
        versions.exact.includes(entry.version) ||
        firsts?.get(entry.objectId) === entry)
    );
  });
}

/** The earliest version of each object; of equal versions the one that was added first. */
function firstVersions(entries: readonly Entry[]): Map<string, Entry> {
  const firsts = new Map<string, Entry>();
  for (const entry of entries) {
    const first = firsts.get(entry.objectId);
    if (first === undefined || entry.version < first.version) firsts.set(entry.objectId, entry);
  }
  return firsts;
}

function stixTypeOf({ objectId }: Entry): string {
  return objectId.slice(0, objectId.indexOf('--'));
}

import type { FeedState } from '../../model/state.ts';
import type { FeedReader, FeedWriter } from '../contract/feeds.ts';
import { unknownFeed } from '../empty-state.ts';
import type { Sync } from '../synchronous.ts';
import type { FeedRow, View, WritableTables } from './database.ts';
import { keyOf, matching } from './table.ts';
import { dropAllVerdicts } from './verdicts.ts';

export function readFeeds(view: View): Sync<FeedReader> {
  const stateOf = (feed: string): FeedState => ({
    ...unknownFeed(feed),
    ...view.feeds.get(feed)?.state,
    observations: matching(view.observations, (row) => row.feed === feed).length,
    objects: matching(view.objects, (row) => row.feed === feed).length,
  });
  return {
    feedState: stateOf,
    feedStates: () =>
      matching(view.feeds, ({ isSaved }) => isSaved)
        .map(({ feed }) => feed)
        .sort()
        .map(stateOf),
  };
}

export function writeFeeds(tables: WritableTables): Sync<FeedWriter> {
  return {
    knownFeeds() {
      const saved = matching(tables.feeds, ({ isSaved }) => isSaved);
      const all = [...saved, ...tables.observations.values(), ...tables.objects.values()];
      return [...new Set(all.map(({ feed }) => feed))].sort();
    },

    saveFeedState(feed, patch) {
      const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
      tables.feeds.set(feed, { feed, isSaved: true, state: { ...tables.feeds.get(feed)?.state, ...given } });
    },

    removeFeed(feed) {
      tables.feeds.delete(feed);
      for (const { observation } of matching(tables.observations, (row) => row.feed === feed))
        tables.observations.delete(keyOf(feed, observation.key));
      for (const { object } of matching(tables.objects, (row) => row.feed === feed))
        tables.objects.delete(keyOf(feed, object.id));
      for (const { id } of matching(tables.ended, (row) => row.feed === feed)) tables.ended.delete(keyOf(feed, id));
      for (const { id } of matching(tables.rejections, (row) => row.feed === feed))
        tables.rejections.delete(String(id));
      for (const { reason, isNote, pull } of matching(tables.dropped, (row) => row.feed === feed))
        tables.dropped.delete(keyOf(feed, reason, String(isNote), pull));
      dropAllVerdicts(tables, feed);
    },
  };
}

/** Counts rows that aged out of the store in the feed's state. */
export function countGone(tables: WritableTables, feed: string, rows: number): void {
  if (rows === 0) return;
  const row: FeedRow = tables.feeds.get(feed) ?? { feed, isSaved: false, state: {} };
  tables.feeds.set(feed, { ...row, state: { ...row.state, gone: (row.state.gone ?? 0) + rows } });
}

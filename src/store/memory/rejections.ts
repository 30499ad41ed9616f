import { MAX_REJECTED_ROW, type Rejection } from '../../model/observation.ts';
import type { RejectionReader, RejectionWriter } from '../contract/rejections.ts';
import { MAX_REJECTIONS_PER_FEED } from '../limits.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Database, RejectionRow, View } from './database.ts';
import type { Touch } from './pull.ts';
import { keyOf, matching } from './table.ts';

export function readRejections(view: View): Sync<RejectionReader> {
  return {
    rejections(feed, limit) {
      requireLimit(limit, 0);
      const kept = matching(view.rejections, (row) => row.feed === feed);
      const counts = new Map<string, { reason: string; count: number; isNote: boolean }>();
      const count = (reason: string, isNote: boolean, rows: number): void => {
        const name = keyOf(reason, String(isNote));
        counts.set(name, { reason, isNote, count: (counts.get(name)?.count ?? 0) + rows });
      };
      for (const { rejection } of kept) count(rejection.reason, rejection.isNote === true, 1);
      for (const row of matching(view.dropped, (row) => row.feed === feed)) count(row.reason, row.isNote, row.count);
      return {
        counts: [...counts.values()].sort(
          (a, b) => b.count - a.count || (a.reason < b.reason ? -1 : a.reason > b.reason ? 1 : +a.isNote - +b.isNote),
        ),
        rows: kept
          .sort(newestFirst)
          .slice(0, limit)
          .map(({ rejection, row, detail, firstAt, lastAt, count }) => {
            const { reason, isNote } = rejection;
            return { feed, reason, detail, row, firstAt, lastAt, count, isNote: isNote === true };
          }),
      };
    },
  };
}

export function writeRejections(database: Database, touch: Touch): Sync<RejectionWriter> {
  const { tables } = database;
  return {
    reject(pull, rejections, at) {
      const own = touch(pull);
      const known = new Map(
        matching(tables.rejections, ({ feed }) => feed === own.feed).map((row) => [nameOf(row.rejection), row]),
      );
      const batch = new Map<string, { rejection: Rejection; count: number }>();
      for (const rejection of rejections) {
        const name = nameOf(rejection);
        const count = (batch.get(name)?.count ?? 0) + 1;
        // Deleted first, so that a repeated row counts as new as its last occurrence.
        batch.delete(name);
        batch.set(name, { rejection, count });
      }
      let added = 0;
      let first = 0;
      for (const [name, { rejection, count }] of batch) {
        const old = known.get(name);
        if (rejection.isNote !== true) {
          if (old === undefined) added += 1;
          if (old?.pull !== own.id) first += 1;
        }
        const row: RejectionRow = {
          id: old?.id ?? database.nextId(),
          feed: own.feed,
          rejection,
          row: rejection.row.slice(0, MAX_REJECTED_ROW),
          detail: rejection.detail.slice(0, MAX_REJECTED_ROW),
          firstAt: old?.firstAt ?? at,
          lastAt: Math.max(old?.lastAt ?? at, at),
          count: (old?.count ?? 0) + count,
          pull: own.id,
        };
        known.set(name, row);
        tables.rejections.set(String(row.id), row);
      }
      if (known.size > MAX_REJECTIONS_PER_FEED) dropOldest([...known.values()]);
      return { added, first };
    },

    forgetRejections(pull) {
      const own = touch(pull);
      for (const { id } of matching(tables.rejections, (row) => row.feed === own.feed && row.pull !== own.id))
        tables.rejections.delete(String(id));
      for (const row of matching(tables.dropped, (row) => row.feed === own.feed && row.pull !== own.id))
        tables.dropped.delete(keyOf(row.feed, row.reason, String(row.isNote), row.pull));
    },
  };

  /** Only their number stays. */
  function dropOldest(rows: RejectionRow[]): void {
    for (const { id, feed, rejection, pull } of rows.sort(newestFirst).slice(MAX_REJECTIONS_PER_FEED)) {
      const { reason } = rejection;
      const isNote = rejection.isNote === true;
      tables.rejections.delete(String(id));
      const name = keyOf(feed, reason, String(isNote), pull);
      const count = (tables.dropped.get(name)?.count ?? 0) + 1;
      tables.dropped.set(name, { feed, reason, isNote, pull, count });
    }
  }
}

function newestFirst(a: RejectionRow, b: RejectionRow): number {
  return b.lastAt - a.lastAt || b.id - a.id;
}

function nameOf({ reason, row, isNote }: Rejection): string {
  return keyOf(String(isNote === true), reason, row.slice(0, MAX_REJECTED_ROW));
}

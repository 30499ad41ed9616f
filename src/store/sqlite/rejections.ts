import { hash } from 'node:crypto';
import type { Micros } from '../../model/clock.ts';
import { MAX_REJECTED_ROW, type Rejection } from '../../model/observation.ts';
import type { StoredRejection } from '../../model/state.ts';
import { MAX_REJECTIONS_PER_FEED } from '../limits.ts';
import { requireLimit } from '../misuse.ts';
import type { Reader, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { Changes, REJECTIONS_KEPT } from './counts.ts';
import { findFeed, openFeed } from './feeds.ts';
import type { Touch } from './pull.ts';

export function readRejections(connection: Connection): Sync<Pick<Reader, 'rejections'>> {
  return {
    rejections(feed, limit) {
      const id = findFeed(connection, feed) ?? null;
      const counts = connection.all<[string, number, number]>(
        `SELECT reason, note, sum(count) FROM (
           SELECT reason, note, count FROM rejections_kept WHERE feed = ?1 AND count > 0
           UNION ALL SELECT reason, note, count FROM rejections_dropped WHERE feed = ?1)
         GROUP BY reason, note ORDER BY 3 DESC, reason, note`,
        id,
      );
      const rows = connection.all<[string, string, string, Micros, Micros, number, number]>(
        `SELECT reason, detail, row, first_at, last_at, count, note FROM rejections INDEXED BY rejections_by_time
         WHERE feed = ? ORDER BY last_at DESC, id DESC LIMIT ?`,
        id,
        requireLimit(limit, 0),
      );
      return {
        counts: counts.map(([reason, note, count]) => ({ reason, count, isNote: note === 1 })),
        rows: rows.map(
          ([reason, detail, row, firstAt, lastAt, count, note]): StoredRejection => ({
            feed,
            reason,
            detail,
            row,
            firstAt,
            lastAt,
            count,
            isNote: note === 1,
          }),
        ),
      };
    },
  };
}

export function writeRejections(
  connection: Connection,
  touch: Touch,
): Sync<Pick<Transaction, 'reject' | 'forgetRejections'>> {
  return {
    reject(pull, rejections, at) {
      if (rejections.length === 0) return { added: 0, first: 0 };
      const own = touch(pull);
      const feed = openFeed(connection, own.feed);
      own.number ??= connection.one<[number]>(
        'UPDATE feeds SET pulls = pulls + 1 WHERE id = ? RETURNING pulls',
        feed,
      )[0];
      const batch = eachOnce(rejections);
      const known = pullsOf(connection, feed, [...batch.keys()]);
      const isFirst = (name: string): boolean => known.get(name) !== own.number;
      const names = [...batch].flatMap(([name, { rejection }]) => (rejection.isNote === true ? [] : [name]));
      keepRows(connection, feed, own.number, batch, at);
      const fresh = [...batch].filter(([name]) => !known.has(name));
      countKept(
        connection,
        feed,
        fresh.map(([, { rejection }]) => [rejection.reason, rejection.isNote === true ? 1 : 0]),
        1,
      );
      dropOldest(connection, feed, own.number);
      return { added: names.filter((name) => !known.has(name)).length, first: names.filter(isFirst).length };
    },

    forgetRejections(pull) {
      const own = touch(pull);
      const feed = findFeed(connection, own.feed);
      if (feed === undefined) return;
      const forgotten = connection.all<[string, number]>(
        'DELETE FROM rejections WHERE feed = ? AND pull IS NOT ? RETURNING reason, note',
        feed,
        own.number,
      );
      countKept(connection, feed, forgotten, -1);
      connection.run('DELETE FROM rejections_dropped WHERE feed = ? AND pull IS NOT ?', feed, own.number);
    },
  };
}

/** Rejections of one call by their hash, each with how often it came; the one that came last stands last. */
type Batch = Map<string, { rejection: Rejection; row: string; count: number }>;

function eachOnce(rejections: readonly Rejection[]): Batch {
  const batch: Batch = new Map();
  for (const rejection of rejections) {
    const row = rejection.row.slice(0, MAX_REJECTED_ROW);
    const name = hash('sha1', `${rejection.isNote === true ? 'note' : ''}:${rejection.reason}:${row}`, 'hex').slice(
      0,
      32,
    );
    const count = (batch.get(name)?.count ?? 0) + 1;
    // Deleted first so that a repeated row counts as new as its last occurrence.
    batch.delete(name);
    batch.set(name, { rejection, row, count });
  }
  return batch;
}

/** The last pull that refused each kept row. */
function pullsOf(connection: Connection, feed: number, names: readonly string[]): Map<string, number> {
  return new Map(
    connection.all<[string, number]>(
      `SELECT n.value, r.pull FROM json_each(?) n CROSS JOIN rejections r INDEXED BY rejections_by_hash
       ON r.feed = ? AND r.hash = unhex(n.value)`,
      JSON.stringify(names),
      feed,
    ),
  );
}

/** Keeps one row per (reason, row). */
function keepRows(connection: Connection, feed: number, pull: number, batch: Batch, at: Micros): void {
  const upsert = connection.statement(
    `INSERT INTO rejections (feed, hash, reason, detail, row, first_at, last_at, count, pull, note)
     VALUES (?1, unhex(?2), ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)
     ON CONFLICT (feed, hash) DO UPDATE SET detail = excluded.detail, last_at = max(last_at, excluded.last_at),
       count = count + excluded.count, pull = excluded.pull`,
  );
  for (const [name, { rejection, row, count }] of batch) {
    const { reason, detail, isNote } = rejection;
    upsert.run(feed, name, reason, detail.slice(0, MAX_REJECTED_ROW), row, at, count, pull, isNote === true ? 1 : 0);
  }
}

/** Only their number stays: that of this pull by itself, that of all earlier ones together, as pull 0. */
function dropOldest(connection: Connection, feed: number, pull: number): void {
  const dropped = connection.all<[string, number, number]>(
    `DELETE FROM rejections WHERE id IN (SELECT id FROM rejections INDEXED BY rejections_by_time WHERE feed = ?
       ORDER BY last_at DESC, id DESC LIMIT -1 OFFSET ?) RETURNING reason, note, pull`,
    feed,
    MAX_REJECTIONS_PER_FEED,
  );
  if (dropped.length === 0) return;
  countKept(connection, feed, dropped, -1);
  connection.run(
    `INSERT INTO rejections_dropped (feed, reason, note, pull, count)
     SELECT feed, reason, note, 0, sum(count) FROM rejections_dropped WHERE feed = ?1 AND pull NOT IN (0, ?2)
     GROUP BY reason, note ON CONFLICT DO UPDATE SET count = count + excluded.count`,
    feed,
    pull,
  );
  connection.run('DELETE FROM rejections_dropped WHERE feed = ? AND pull NOT IN (0, ?)', feed, pull);
  const add = connection.statement(
    `INSERT INTO rejections_dropped (feed, reason, note, pull, count) VALUES (?, ?, ?, ?, 1)
     ON CONFLICT DO UPDATE SET count = count + 1`,
  );
  for (const [reason, note, of] of dropped) add.run(feed, reason, note, of === pull ? pull : 0);
}

/** `change` for each of these rows, by its reason and whether it is a note. */
function countKept(
  connection: Connection,
  feed: number,
  rows: readonly (readonly [reason: string, note: number, ...rest: unknown[]])[],
  change: 1 | -1,
): void {
  const changes = new Changes<[reason: string, note: number]>();
  for (const [reason, note] of rows) changes.add([reason, note], change);
  changes.save(connection, REJECTIONS_KEPT, feed);
}

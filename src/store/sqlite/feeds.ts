import { hash } from 'node:crypto';
import type { Micros } from '../../model/clock.ts';
import { MAX_REJECTED_ROW, type Rejection } from '../../model/observation.ts';
import type { FeedState, StoredRejection } from '../../model/state.ts';
import { MAX_REJECTIONS_PER_FEED, type Reader, type Transaction } from '../store.ts';
import { type Connection, requireLimit, type Sync, type Value } from './connection.ts';

/** Columns of `feeds` by the property of FeedState that they keep; `error`, `gap` and `note` are JSON. */
const stateColumns = {
  cursor: 'cursor',
  etag: 'etag',
  lastModified: 'last_modified',
  bodyHash: 'body_hash',
  confirmedAt: 'confirmed_at',
  succeededAt: 'succeeded_at',
  attemptedAt: 'attempted_at',
  nextPollAt: 'next_poll_at',
  failures: 'failures',
  error: 'error',
  gap: 'gap',
  note: 'note',
  lapsedAt: 'lapsed_at',
  accepted: 'accepted',
  rejected: 'rejected',
} as const satisfies Record<Exclude<keyof FeedState, 'feed' | 'observations'>, string>;

/** The number of a feed; undefined for one that was never heard of. */
export function findFeed(connection: Connection, name: string): number | undefined {
  return connection.get<[number]>('SELECT id FROM feeds WHERE name = ?', name)?.[0];
}

/** The number of a feed, given to it now when it has none. */
export function openFeed(connection: Connection, name: string): number {
  const known = findFeed(connection, name);
  if (known !== undefined) return known;
  const [id] = connection.get<[number]>('INSERT INTO feeds (name) VALUES (?) RETURNING id', name) ?? [];
  if (id === undefined) throw new Error(`feed "${name}" was not kept`);
  return id;
}

export function readFeeds(connection: Connection): Sync<Pick<Reader, 'feedState' | 'feedStates' | 'rejections'>> {
  return {
    feedState: (feed) => selectStates(connection, 'WHERE name = ?', feed)[0] ?? unknownFeed(feed),

    feedStates: () => selectStates(connection, 'WHERE saved = 1 ORDER BY name'),

    rejections(feed, limit) {
      const id = findFeed(connection, feed) ?? null;
      const counts = connection.all<[string, number]>(
        'SELECT reason, count FROM rejection_counts WHERE feed = ? ORDER BY count DESC, reason',
        id,
      );
      const rows = connection.all<[string, string, string, Micros, Micros, number]>(
        `SELECT reason, detail, row, first_at, last_at, count FROM rejections INDEXED BY rejections_by_time
         WHERE feed = ? ORDER BY last_at DESC, id DESC LIMIT ?`,
        id,
        requireLimit(limit, 0),
      );
      return {
        counts: counts.map(([reason, count]) => ({ reason, count })),
        rows: rows.map(
          ([reason, detail, row, firstAt, lastAt, count]): StoredRejection => ({
            feed,
            reason,
            detail,
            row,
            firstAt,
            lastAt,
            count,
          }),
        ),
      };
    },
  };
}

export function writeFeeds(
  connection: Connection,
): Sync<Pick<Transaction, 'saveFeedState' | 'removeFeed' | 'reject' | 'knownFeeds'>> {
  return {
    knownFeeds: () =>
      connection
        .all<[string]>('SELECT name FROM feeds WHERE saved = 1 OR observations > 0 OR objects > 0 ORDER BY name')
        .map(([name]) => name),

    saveFeedState(feed, patch) {
      const assignments = ['saved = 1'];
      const values: Value[] = [];
      for (const [property, column] of Object.entries(stateColumns)) {
        const value = patch[property as keyof typeof stateColumns];
        if (value === undefined) continue;
        assignments.push(`${column} = ?`);
        values.push(typeof value === 'object' && value !== null ? JSON.stringify(value) : value);
      }
      connection.run(`UPDATE feeds SET ${assignments.join(', ')} WHERE id = ?`, ...values, openFeed(connection, feed));
    },

    removeFeed(feed) {
      const id = findFeed(connection, feed);
      if (id === undefined) return;
      for (const table of ['observations', 'feed_objects', 'rejections', 'rejection_counts']) {
        connection.run(`DELETE FROM ${table} WHERE feed = ?`, id);
      }
      connection.run('DELETE FROM feeds WHERE id = ?', id);
    },

    reject(feed, rejections, at) {
      if (rejections.length === 0) return;
      const id = openFeed(connection, feed);
      for (const [reason, count] of countBy(rejections)) {
        connection.run(
          `INSERT INTO rejection_counts (feed, reason, count) VALUES (?, ?, ?)
           ON CONFLICT (feed, reason) DO UPDATE SET count = count + excluded.count`,
          id,
          reason,
          count,
        );
      }
      keepRows(connection, id, rejections, at);
    },
  };
}

function selectStates(connection: Connection, clause: string, ...values: string[]): FeedState[] {
  const rows = connection.all<(string | number | null)[]>(
    `SELECT ${['name', ...Object.values(stateColumns), 'observations'].join(', ')} FROM feeds ${clause}`,
    ...values,
  );
  const properties = ['feed', ...Object.keys(stateColumns), 'observations'];
  return rows.map((row) => {
    const state = Object.fromEntries(properties.map((property, i) => [property, row[i]]));
    for (const property of ['error', 'gap', 'note']) {
      const text = state[property];
      if (typeof text === 'string') state[property] = JSON.parse(text);
    }
    return state as unknown as FeedState;
  });
}

function unknownFeed(feed: string): FeedState {
  return {
    feed,
    cursor: null,
    etag: null,
    lastModified: null,
    bodyHash: null,
    confirmedAt: null,
    succeededAt: null,
    attemptedAt: null,
    nextPollAt: null,
    failures: 0,
    error: null,
    gap: null,
    note: null,
    lapsedAt: null,
    accepted: 0,
    rejected: 0,
    observations: 0,
  };
}

function countBy(rejections: readonly Rejection[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { reason } of rejections) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return counts;
}

/** One row per (reason, row); no more than the bound, newest first, of this batch and of the feed. */
function keepRows(connection: Connection, feed: number, rejections: readonly Rejection[], at: Micros): void {
  const batch = new Map<string, { rejection: Rejection; row: string; count: number }>();
  for (const rejection of rejections) {
    const row = rejection.row.slice(0, MAX_REJECTED_ROW);
    const name = hash('sha1', `${rejection.reason}:${row}`, 'hex').slice(0, 32);
    const count = (batch.get(name)?.count ?? 0) + 1;
    // Deleted first so that a repeated row counts as new as its last occurrence.
    batch.delete(name);
    batch.set(name, { rejection, row, count });
  }
  const upsert = connection.statement(
    `INSERT INTO rejections (feed, hash, reason, detail, row, first_at, last_at, count)
     VALUES (?1, unhex(?2), ?3, ?4, ?5, ?6, ?6, ?7)
     ON CONFLICT (feed, hash) DO UPDATE SET detail = excluded.detail, last_at = max(last_at, excluded.last_at),
       count = count + excluded.count`,
  );
  for (const [name, { rejection, row, count }] of [...batch].slice(-MAX_REJECTIONS_PER_FEED)) {
    upsert.run(feed, name, rejection.reason, rejection.detail.slice(0, MAX_REJECTED_ROW), row, at, count);
  }
  connection.run(
    `DELETE FROM rejections WHERE id IN (SELECT id FROM rejections INDEXED BY rejections_by_time WHERE feed = ?
       ORDER BY last_at DESC, id DESC LIMIT -1 OFFSET ?)`,
    feed,
    MAX_REJECTIONS_PER_FEED,
  );
}

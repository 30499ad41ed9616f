import type { FeedState } from '../../model/state.ts';
import { unknownFeed } from '../empty-state.ts';
import type { Reader, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection, Value } from './connection.ts';

/** Columns of `feeds` by the property of FeedState that they keep; `error`, `gap` and `note` are JSON. */
const stateColumns = {
  cursor: 'cursor',
  movedAt: 'moved_at',
  etag: 'etag',
  lastModified: 'last_modified',
  bodyHash: 'body_hash',
  changedAt: 'changed_at',
  freshUntil: 'fresh_until',
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
  read: 'rows_read',
  split: 'split',
  folded: 'folded',
  filtered: 'filtered',
  gone: 'gone',
} as const satisfies Record<Exclude<keyof FeedState, 'feed' | 'observations' | 'objects'>, string>;

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

export function readFeeds(connection: Connection): Sync<Pick<Reader, 'feedState' | 'feedStates'>> {
  return {
    feedState: (feed) => selectStates(connection, 'WHERE name = ?', feed)[0] ?? unknownFeed(feed),

    feedStates: () => selectStates(connection, 'WHERE saved = 1 ORDER BY name'),
  };
}

export function writeFeeds(
  connection: Connection,
): Sync<Pick<Transaction, 'saveFeedState' | 'removeFeed' | 'knownFeeds'>> {
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
      const tables = ['observations', 'ended_statements', 'feed_objects'];
      for (const table of [...tables, 'rejections', 'rejections_kept', 'rejections_dropped']) {
        connection.run(`DELETE FROM ${table} WHERE feed = ?`, id);
      }
      for (const table of ['verdicts', 'verdict_counts']) {
        connection.run(`DELETE FROM ${table} WHERE journal IN (SELECT id FROM journals) AND feed = ?`, id);
      }
      connection.run('DELETE FROM feeds WHERE id = ?', id);
    },
  };
}

function selectStates(connection: Connection, clause: string, ...values: string[]): FeedState[] {
  const rows = connection.all<(string | number | null)[]>(
    `SELECT ${['name', ...Object.values(stateColumns), 'observations', 'objects'].join(', ')} FROM feeds ${clause}`,
    ...values,
  );
  const properties = ['feed', ...Object.keys(stateColumns), 'observations', 'objects'];
  return rows.map((row) => {
    const state = Object.fromEntries(properties.map((property, i) => [property, row[i]]));
    for (const property of ['error', 'gap', 'note']) {
      const text = state[property];
      if (typeof text === 'string') state[property] = JSON.parse(text);
    }
    return state as unknown as FeedState;
  });
}

import { requireLimit } from '../misuse.ts';
import type { Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { findFeed, openFeed } from './feeds.ts';

/** Versions in which upstream objects ended, where nothing that is left of them may tell. */
export function writeEnded(
  connection: Connection,
): Sync<Pick<Transaction, 'rememberEnded' | 'endedVersions' | 'forgetEnded'>> {
  return {
    rememberEnded(feed, statements, at) {
      const id = openFeed(connection, feed);
      for (const { id: object, version } of statements) {
        if (version === null) continue;
        connection.run(
          `INSERT INTO ended_statements (feed, object_id, version, heard_at) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET version = excluded.version, heard_at = excluded.heard_at`,
          id,
          object,
          version,
          at,
        );
      }
    },

    endedVersions(feed, ids) {
      const id = findFeed(connection, feed);
      if (ids.length === 0 || id === undefined || !hasAny(connection, id)) return new Map();
      const rows = connection.all<[string, number]>(
        `SELECT e.object_id, e.version FROM json_each(?) n CROSS JOIN ended_statements e
         ON e.feed = ? AND e.object_id = n.value`,
        JSON.stringify(ids),
        id,
      );
      return new Map(rows);
    },

    forgetEnded(feed, before, limit) {
      const id = findFeed(connection, feed);
      if (id === undefined || !hasAny(connection, id)) return 0;
      return connection.all(
        `DELETE FROM ended_statements WHERE feed = ?1 AND object_id IN (
           SELECT object_id FROM ended_statements INDEXED BY ended_statements_by_age
           WHERE feed = ?1 AND heard_at < ?2 ORDER BY heard_at LIMIT ?3) RETURNING 1`,
        id,
        before,
        requireLimit(limit),
      ).length;
    },
  };
}

/** Nearly always there are none. */
function hasAny(connection: Connection, feed: number): boolean {
  return connection.get('SELECT 1 FROM ended_statements WHERE feed = ? LIMIT 1', feed) !== undefined;
}

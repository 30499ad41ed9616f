import type { RelationWriter } from '../contract/relations.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { findFeed } from './feeds.ts';
import { findJournal, requireJournal } from './journals.ts';
import { statementNumber } from './observation-rows.ts';

export function writeRelations(connection: Connection): Sync<RelationWriter> {
  return {
    relatingFeeds: (feeds) =>
      feeds.filter((feed) => {
        const id = findFeed(connection, feed) ?? null;
        return ENDS.some(
          ({ column, index }) =>
            connection.get(
              `SELECT 1 FROM feed_objects INDEXED BY ${index} WHERE feed = ? AND ${column} IS NOT NULL LIMIT 1`,
              id,
            ) !== undefined,
        );
      }),

    relatedObjects(feed, ends, after, limit) {
      const numbers = JSON.stringify([...new Set(ends.flatMap((id) => statementNumber(id) ?? []))]);
      const parts = ENDS.map(
        ({ column, index }) =>
          `SELECT o.object_id AS id FROM json_each(?1) n CROSS JOIN feed_objects o INDEXED BY ${index}
           ON o.feed = ?2 AND o.${column} = n.value AND o.object_id > ?3`,
      );
      return connection
        .all<[string]>(
          `${parts.join(' UNION ')} ORDER BY id LIMIT ?4`,
          numbers,
          findFeed(connection, feed) ?? null,
          after ?? '',
          requireLimit(limit),
        )
        .map(([id]) => id);
    },

    point(name, ids, pointers) {
      const journal = requireJournal(connection, name).id;
      connection.run(
        `DELETE FROM pointers INDEXED BY pointers_by_object
         WHERE journal = ? AND object_id IN (SELECT value FROM json_each(?))`,
        journal,
        JSON.stringify(ids),
      );
      const insert = connection.statement(
        'INSERT INTO pointers (journal, key, object_id) VALUES (?, unhex(?), ?) ON CONFLICT DO NOTHING',
      );
      for (const { id, key } of pointers) insert.run(journal, key, id);
    },

    pointing(name, keys, after, limit) {
      const journal = findJournal(connection, name)?.id;
      // Nearly always nothing does.
      if (journal === undefined) return [];
      if (connection.get('SELECT 1 FROM pointers WHERE journal = ? LIMIT 1', journal) === undefined) return [];
      return connection
        .all<[string]>(
          `SELECT DISTINCT p.object_id FROM json_each(?) k
           CROSS JOIN pointers p ON p.journal = ? AND p.key = unhex(k.value) AND p.object_id > ?
           ORDER BY p.object_id LIMIT ?`,
          JSON.stringify(keys),
          journal,
          after ?? '',
          requireLimit(limit),
        )
        .map(([id]) => id);
    },
  };
}

/** A relation has at most two ends that may be merged. */
const ENDS = [
  { column: 'end_a', index: 'feed_objects_by_end_a' },
  { column: 'end_b', index: 'feed_objects_by_end_b' },
] as const;

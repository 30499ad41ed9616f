import type { JsonObject } from '../../model/json.ts';
import type { ObjectWriter, StoredObject } from '../contract/objects.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { countGone, hasAny, OBJECTS, walkMarked, walkNames } from './feed-rows.ts';
import { findFeed, openFeed } from './feeds.ts';
import { incomingObject } from './observation-rows.ts';
import type { Touch } from './pull.ts';
import { type RowIds, upsert } from './upsert.ts';
import { dropVerdicts } from './verdicts.ts';

export function writeObjects(connection: Connection, ids: RowIds, touch: Touch): Sync<ObjectWriter> {
  return {
    observeObjects(pull, objects) {
      const own = touch(pull);
      const latest = new Map(objects.map((object) => [object.id, object]));
      const rows = Array.from(latest.values(), incomingObject);
      if (rows.length === 0) return [];
      const { changed } = upsert(connection, ids, OBJECTS, openFeed(connection, own.feed), own.objects, rows);
      return changed.flatMap((id) => latest.get(id) ?? []);
    },

    objectVersions(feed, ids) {
      if (ids.length === 0 || !hasAny(connection, OBJECTS, feed)) return new Map();
      const rows = connection.all<[string, string | null]>(
        `SELECT o.object_id, o.version FROM json_each(?) n CROSS JOIN feed_objects o INDEXED BY feed_objects_by_id
         ON o.feed = ? AND o.object_id = n.value`,
        JSON.stringify(ids),
        findFeed(connection, feed) ?? null,
      );
      return new Map(rows);
    },

    removeObjects(feed, wanted) {
      const id = findFeed(connection, feed);
      if (id === undefined || wanted.length === 0 || !hasAny(connection, OBJECTS, feed)) return [];
      const sql = `DELETE FROM feed_objects INDEXED BY feed_objects_by_id
        WHERE feed = ? AND object_id IN (SELECT value FROM json_each(?)) RETURNING object_id`;
      const removed = connection.all<[string]>(sql, id, JSON.stringify(wanted)).map(([name]) => name);
      countGone(connection, OBJECTS, id, removed.length);
      dropVerdicts(connection, OBJECTS, id, removed);
      return removed;
    },

    objectsById: (feeds, wanted) => findObjects(connection, feeds, [...new Set(wanted)]),

    objects(feeds, after, limit) {
      if (feeds.length === 0) return [];
      // The limit counts ids, so that an object which several feeds have is never torn apart by the end of a page.
      return findObjects(connection, feeds, walkNames(connection, OBJECTS, feeds, after, limit));
    },

    markedObjects: (feed, markings, after, limit) => walkMarked(connection, OBJECTS, feed, markings, after, limit),
  };
}

/** In the order of the ids, then as the feeds came to say them. */
function findObjects(connection: Connection, feeds: readonly string[], ids: readonly string[]): StoredObject[] {
  const rows = connection.all<[string, string, string, string | null, string]>(
    `SELECT f.name, o.object_id, o.type, o.version, o.raw FROM json_each(?) k
     CROSS JOIN feeds f ON f.name IN (SELECT value FROM json_each(?))
     CROSS JOIN feed_objects o INDEXED BY feed_objects_by_id ON o.feed = f.id AND o.object_id = k.value
     ORDER BY k.id, o.id`,
    JSON.stringify(ids),
    JSON.stringify(feeds),
  );
  return rows.map(([feed, id, type, version, raw]) => {
    return { feed, id, type, version, raw: JSON.parse(raw) as JsonObject };
  });
}

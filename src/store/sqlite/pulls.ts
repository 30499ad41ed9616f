import type { PullWriter } from '../contract/pulls.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { countRows, type Kind, OBJECTS, OBSERVATIONS } from './feed-rows.ts';
import { findFeed } from './feeds.ts';
import type { Seen, Touch } from './pull.ts';
import { dropVerdicts } from './verdicts.ts';

export function writePulls(connection: Connection, touch: Touch): Sync<PullWriter> {
  let asked: Seen;
  connection.db.function('seen', { directOnly: true }, (id) => (asked.has(Number(id)) ? 1 : 0));

  /** Names of up to `limit` rows that were not seen, removed, in their order; goes on where the last call stopped. */
  const remove = (kind: Kind, feed: string, seen: Seen, limit: number): string[] => {
    const id = findFeed(connection, feed);
    if (id === undefined) return [];
    asked = seen;
    const rows = connection.all<[number, string]>(
      `SELECT o.id, ${kind.asText} FROM ${kind.table} o INDEXED BY ${kind.index}
       WHERE o.feed = ? AND o.${kind.name} > ${kind.fromText('?')} AND NOT seen(o.id) ORDER BY o.${kind.name} LIMIT ?`,
      id,
      seen.removedTo ?? '',
      requireLimit(limit),
    );
    const last = rows.at(-1);
    if (last === undefined) return [];
    seen.removedTo = last[1];
    connection.run(
      `DELETE FROM ${kind.table} WHERE id IN (SELECT value FROM json_each(?))`,
      JSON.stringify(rows.map(([row]) => row)),
    );
    countRows(connection, kind, id, -rows.length);
    const names = rows.map(([, name]) => name);
    dropVerdicts(connection, kind, id, names);
    return names;
  };

  return {
    seenKeys(pull, keys) {
      const own = touch(pull);
      const rows = connection.all<[string, number]>(
        `SELECT n.value, o.id FROM json_each(?) n CROSS JOIN observations o INDEXED BY observations_by_key
         ON o.feed = ? AND o.key = unhex(n.value)`,
        JSON.stringify(keys),
        findFeed(connection, own.feed) ?? null,
      );
      return new Set(rows.flatMap(([key, id]) => (own.observations.has(id) ? [key] : [])));
    },

    unseen(pull) {
      const own = touch(pull);
      const feed = findFeed(connection, own.feed);
      if (feed === undefined) return { unseen: 0, total: 0 };
      const [total] = connection.get<[number]>('SELECT observations + objects FROM feeds WHERE id = ?', feed) ?? [0];
      let unseen = 0;
      for (const [kind, seen] of [
        [OBSERVATIONS, own.observations],
        [OBJECTS, own.objects],
      ] as const) {
        asked = seen;
        const sql = `SELECT count(*) FROM ${kind.table} o INDEXED BY ${kind.index} WHERE o.feed = ? AND NOT seen(o.id)`;
        unseen += connection.get<[number]>(sql, feed)?.[0] ?? 0;
      }
      return { unseen, total };
    },

    marked(pull) {
      const { observations, objects } = touch(pull);
      return observations.size + objects.size;
    },

    removeUnseen: (pull, limit) => remove(OBSERVATIONS, pull.feed, touch(pull).observations, limit),
    removeUnseenObjects: (pull, limit) => remove(OBJECTS, pull.feed, touch(pull).objects, limit),
  };
}

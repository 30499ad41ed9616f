import type { PullWriter } from '../contract/pulls.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { ObjectRow, ObservationRow, WritableTables } from './database.ts';
import type { MemoryPull, Touch } from './pull.ts';
import { keyOf, matching } from './table.ts';
import { dropVerdicts } from './verdicts.ts';

export function writePulls(tables: WritableTables, touch: Touch): Sync<PullWriter> {
  const ofFeed = ({ feed }: MemoryPull) => ({
    observations: matching(tables.observations, (row) => row.feed === feed),
    objects: matching(tables.objects, (row) => row.feed === feed),
  });
  const isUnseen = (seen: MemoryPull['observations'], { id }: ObservationRow | ObjectRow): boolean =>
    seen.get(String(id)) === undefined;

  return {
    seenKeys(pull, keys) {
      const own = touch(pull);
      return new Set(
        keys.filter((key) => {
          const row = tables.observations.get(keyOf(own.feed, key));
          return row !== undefined && !isUnseen(own.observations, row);
        }),
      );
    },

    unseen(pull) {
      const own = touch(pull);
      const { observations, objects } = ofFeed(own);
      const unseen = [
        ...observations.filter((row) => isUnseen(own.observations, row)),
        ...objects.filter((row) => isUnseen(own.objects, row)),
      ];
      return { unseen: unseen.length, total: observations.length + objects.length };
    },

    marked(pull) {
      const { observations, objects } = touch(pull);
      return [...observations.values()].length + [...objects.values()].length;
    },

    removeUnseen(pull, limit) {
      const own = touch(pull);
      const keys = ofFeed(own)
        .observations.filter((row) => isUnseen(own.observations, row))
        .map(({ observation }) => observation.key)
        .sort()
        .slice(0, requireLimit(limit));
      for (const key of keys) tables.observations.delete(keyOf(own.feed, key));
      dropVerdicts(tables, own.feed, 'observation', keys);
      return keys;
    },

    removeUnseenObjects(pull, limit) {
      const own = touch(pull);
      const ids = ofFeed(own)
        .objects.filter((row) => isUnseen(own.objects, row))
        .map(({ object }) => object.id)
        .sort()
        .slice(0, requireLimit(limit));
      for (const id of ids) tables.objects.delete(keyOf(own.feed, id));
      dropVerdicts(tables, own.feed, 'object', ids);
      return ids;
    },
  };
}

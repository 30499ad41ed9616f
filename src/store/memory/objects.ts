import { sortMembers } from '../../model/json.ts';
import type { StixObject } from '../../model/observation.ts';
import { objectMarkings } from '../../stix/marking.ts';
import { relationshipEnds } from '../../stix/relationship.ts';
import type { ObjectWriter, StoredObject } from '../contract/objects.ts';
import type { RelationWriter } from '../contract/relations.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Database, ObjectRow } from './database.ts';
import { countGone } from './feeds.ts';
import { requireJournal } from './journals.ts';
import type { Touch } from './pull.ts';
import { keyOf, matching, pageOf } from './table.ts';
import { dropVerdicts } from './verdicts.ts';

export function writeObjects(database: Database, touch: Touch): Sync<ObjectWriter> {
  const { tables } = database;
  const rowOf = (feed: string, id: string) => tables.objects.get(keyOf(feed, id));
  const objectsById = (feeds: readonly string[], ids: readonly string[]): StoredObject[] =>
    [...new Set(ids)].flatMap((id) =>
      [...new Set(feeds)]
        .flatMap((feed) => rowOf(feed, id) ?? [])
        .sort((a, b) => a.id - b.id)
        .map(({ feed, object }) => ({ feed, ...object })),
    );

  return {
    observeObjects(pull, objects) {
      const own = touch(pull);
      const changed: StixObject[] = [];
      for (const object of new Map(objects.map((one) => [one.id, one])).values()) {
        const row = rowOf(own.feed, object.id);
        const id = row?.id ?? database.nextId();
        const said = JSON.stringify([object.type, object.version, sortMembers(object.raw)]);
        own.objects.set(String(id), true);
        if (row?.said === said) continue;
        const copy: StixObject = JSON.parse(JSON.stringify(object));
        tables.objects.set(keyOf(own.feed, object.id), { id, feed: own.feed, object: copy, said });
        changed.push(object);
      }
      return changed;
    },

    objectVersions: (feed, ids) =>
      new Map(
        ids.flatMap((id) => {
          const row = rowOf(feed, id);
          return row === undefined ? [] : [[id, row.object.version] as const];
        }),
      ),

    removeObjects(feed, ids) {
      const removed = [...new Set(ids)].filter((id) => rowOf(feed, id) !== undefined);
      for (const id of removed) tables.objects.delete(keyOf(feed, id));
      countGone(tables, feed, removed.length);
      dropVerdicts(tables, feed, 'object', removed);
      return removed;
    },

    objectsById,

    objects(feeds, after, limit) {
      const ids = matching(tables.objects, ({ feed }) => feeds.includes(feed)).map(({ object }) => object.id);
      return objectsById(feeds, pageOf(ids, after, requireLimit(limit)));
    },

    markedObjects(feed, refs, after, limit) {
      const isMarked = ({ object }: ObjectRow): boolean =>
        objectMarkings(object.raw).others.some((marking) => refs.includes(marking));
      const marked = matching(tables.objects, (row) => row.feed === feed && isMarked(row));
      return pageOf(
        marked.map(({ object }) => object.id),
        after,
        requireLimit(limit),
      );
    },
  };
}

export function writeRelations({ tables }: Database): Sync<RelationWriter> {
  return {
    relatingFeeds: (feeds) =>
      feeds.filter((feed) =>
        matching(tables.objects, (row) => row.feed === feed).some(({ object }) => relationshipEnds(object).length > 0),
      ),

    relatedObjects(feed, ends, after, limit) {
      const wanted = new Set(ends);
      const related = matching(
        tables.objects,
        (row) => row.feed === feed && relationshipEnds(row.object).some(({ id }) => wanted.has(id)),
      );
      return pageOf(
        related.map(({ object }) => object.id),
        after,
        requireLimit(limit),
      );
    },

    point(journal, ids, pointers) {
      requireJournal(tables, journal);
      for (const id of ids) tables.pointers.delete(keyOf(journal, id));
      for (const { id, key } of pointers) {
        const keys = tables.pointers.get(keyOf(journal, id))?.keys ?? [];
        tables.pointers.set(keyOf(journal, id), { journal, id, keys: [...keys, key] });
      }
    },

    pointing(journal, keys, after, limit) {
      const wanted = new Set(keys);
      const found = matching(
        tables.pointers,
        (row) => row.journal === journal && row.keys.some((key) => wanted.has(key)),
      );
      return pageOf(
        found.map(({ id }) => id),
        after,
        requireLimit(limit),
      );
    },
  };
}

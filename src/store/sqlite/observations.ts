import type { JsonObject } from '../../model/json.ts';
import type { Observation, StixObject } from '../../model/observation.ts';
import { misuse, requireLimit } from '../misuse.ts';
import type { Pull, Transaction } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { findFeed, openFeed } from './feeds.ts';
import {
  IncomingObservation,
  incomingObject,
  type Kind,
  OBJECTS,
  OBSERVATION_COLUMNS,
  OBSERVATIONS,
  type ObservationRow,
  observationFromRow,
  statementNumber,
} from './observation-rows.ts';
import type { Seen, SqlitePull } from './pull.ts';
import { domainRange, networkRange } from './range-key.ts';
import { assignments, compare, countRows, keepShared, type RowIds, upsert } from './upsert.ts';
import { dropVerdicts } from './verdicts.ts';

type Observations = Pick<
  Transaction,
  | 'confirm'
  | 'observe'
  | 'amend'
  | 'observeObjects'
  | 'objectVersions'
  | 'seenKeys'
  | 'unseen'
  | 'marked'
  | 'removeUnseen'
  | 'removeUnseenObjects'
  | 'removeObservations'
  | 'observations'
  | 'saidBy'
  | 'removeObjects'
  | 'observedKeys'
  | 'objects'
  | 'objectsById'
  | 'markedKeys'
  | 'keysWithin'
  | 'keysUnder'
  | 'markedObjects'
>;

/** `touch` makes a pull's marks part of the running transaction and refuses a pull that another store made. */
export function writeObservations(
  connection: Connection,
  ids: RowIds,
  touch: (pull: Pull) => SqlitePull,
): Sync<Observations> {
  let asked: Seen;
  connection.db.function('seen', { directOnly: true }, (id) => (asked.has(id as number) ? 1 : 0));

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
    confirm(pull, observations) {
      const own = touch(pull);
      const rows = observations.map((observation) => new IncomingObservation(observation));
      const feed = openFeed(connection, own.feed);
      const { fresh, different } = compare(connection, OBSERVATIONS, feed, own.observations, rows);
      const others = different.map(({ row }) => row);
      own.compared = new Map([...fresh, ...others].map((row) => [row.observation, row]));
      return { fresh: fresh.map(observationOf), different: others.map(observationOf) };
    },

    observe(pull, observations) {
      const own = touch(pull);
      if (observations.length === 0) return { changed: [], again: [] };
      const rows = eachOnce(observations, keyOf).map((one) => own.compared.get(one) ?? new IncomingObservation(one));
      return upsert(connection, ids, OBSERVATIONS, openFeed(connection, own.feed), own.observations, rows);
    },

    amend(feed, observations) {
      const standing = new Map(findObservations(connection, feed, observations.map(keyOf)).map((row) => [row[0], row]));
      const number = findFeed(connection, feed) as number;
      const update = `UPDATE observations INDEXED BY observations_by_key
        SET fingerprint = -abs(fingerprint), ${assignments(OBSERVATIONS)} WHERE feed = ?2 AND key = unhex(?3) RETURNING id`;
      return observations.flatMap((observation) => {
        const row = standing.get(observation.key);
        if (row === undefined) throw misuse(`"${feed}" has no observation to amend`);
        const incoming = new IncomingObservation(observation);
        const known = new IncomingObservation(observationFromRow(feed, row));
        if (incoming.fingerprint === known.fingerprint) return [];
        const [id] = connection.get<[number]>(update, ...incoming.values(null, number)) as [number];
        keepShared(connection, id, number, incoming.shared);
        return [observation.key];
      });
    },

    observeObjects(pull, objects) {
      const own = touch(pull);
      const latest = new Map(objects.map((object) => [object.id, object]));
      const rows = Array.from(latest.values(), incomingObject);
      if (rows.length === 0) return [];
      const { changed } = upsert(connection, ids, OBJECTS, openFeed(connection, own.feed), own.objects, rows);
      return changed.map((id) => latest.get(id) as StixObject);
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

    removeObservations(feed, keys) {
      const id = findFeed(connection, feed);
      if (id === undefined || keys.length === 0) return;
      const removed = connection.run(
        `DELETE FROM observations INDEXED BY observations_by_key
         WHERE feed = ? AND key IN (SELECT unhex(value) FROM json_each(?))`,
        id,
        JSON.stringify(keys),
      );
      countRows(connection, OBSERVATIONS, id, -removed);
      connection.run('UPDATE feeds SET gone = gone + ? WHERE id = ?', removed, id);
      dropVerdicts(connection, OBSERVATIONS, id, keys);
    },

    observations(feeds, keys) {
      const speaking = [...new Set(feeds)].filter((feed) => hasAny(connection, OBSERVATIONS, feed));
      if (speaking.length === 0) return [];
      const wanted = [...new Set(keys)];
      return speaking.flatMap((feed) =>
        findObservations(connection, feed, wanted).map((row) => observationFromRow(feed, row)),
      );
    },

    saidBy(feed, statements) {
      if (statements.length === 0 || !hasAny(connection, OBSERVATIONS, feed)) return [];
      const wanted = new Set(statements);
      const numbers = JSON.stringify([...wanted].flatMap((id) => statementNumber(id) ?? []));
      // Each table by itself: nearly always there is nothing in either.
      const id = findFeed(connection, feed) as number;
      const found = [
        ...connection.all<[number]>(
          `SELECT o.id FROM json_each(?) n CROSS JOIN observations o INDEXED BY observations_by_statement
           ON o.feed = ? AND o.statement = n.value`,
          numbers,
          id,
        ),
        ...(connection.get('SELECT 1 FROM shared_statements LIMIT 1') === undefined
          ? []
          : connection.all<[number]>(
              `SELECT s.observation FROM json_each(?) n CROSS JOIN shared_statements s
               INDEXED BY shared_statements_by_statement ON s.feed = ? AND s.statement = n.value`,
              numbers,
              id,
            )),
      ].flat();
      if (found.length === 0) return [];
      const rows = connection.all<ObservationRow>(
        `SELECT ${OBSERVATION_COLUMNS} FROM observations o WHERE o.id IN (SELECT value FROM json_each(?))`,
        JSON.stringify(found),
      );
      return rows
        .map((row) => observationFromRow(feed, row))
        .filter(({ sourceId, others }) => wanted.has(sourceId ?? '') || others.some(({ id }) => wanted.has(id)));
    },

    removeObjects(feed, wanted) {
      if (wanted.length === 0 || !hasAny(connection, OBJECTS, feed)) return [];
      const id = findFeed(connection, feed) as number;
      const sql = `DELETE FROM feed_objects INDEXED BY feed_objects_by_id
        WHERE feed = ? AND object_id IN (SELECT value FROM json_each(?)) RETURNING object_id`;
      const removed = connection.all<[string]>(sql, id, JSON.stringify(wanted)).map(([name]) => name);
      countRows(connection, OBJECTS, id, -removed.length);
      connection.run('UPDATE feeds SET gone = gone + ? WHERE id = ?', removed.length, id);
      dropVerdicts(connection, OBJECTS, id, removed);
      return removed;
    },

    observedKeys: (feeds, after, limit) => walkNames(connection, OBSERVATIONS, feeds, after, limit),

    objects(feeds, after, limit) {
      if (feeds.length === 0) return [];
      // The limit counts ids, so that an object which several feeds have is never torn apart by the end of a page.
      return findObjects(connection, feeds, walkNames(connection, OBJECTS, feeds, after, limit));
    },

    keysWithin(network, after, limit) {
      const { from, to, prefix } = networkRange(network);
      return walkRange(connection, { from, to, prefix }, after, limit);
    },

    keysUnder: (domain, after, limit) => walkRange(connection, { ...domainRange(domain), prefix: '' }, after, limit),

    markedKeys: (feed, markings, after, limit) => walkMarked(connection, OBSERVATIONS, feed, markings, after, limit),
    markedObjects: (feed, markings, after, limit) => walkMarked(connection, OBJECTS, feed, markings, after, limit),

    objectsById: (feeds, wanted) => findObjects(connection, feeds, [...new Set(wanted)]),
  };
}

const keyOf = ({ key }: Observation): string => key;
const observationOf = ({ observation }: IncomingObservation): Observation => observation;

/** Of those with one name the last; nearly always there is nothing to leave out. */
function eachOnce<T>(all: readonly T[], nameOf: (one: T) => string): readonly T[] {
  const names = new Set<string>();
  for (const one of all) names.add(nameOf(one));
  return names.size === all.length ? all : [...new Map(all.map((one) => [nameOf(one), one])).values()];
}

function findObservations(connection: Connection, feed: string, keys: readonly string[]): ObservationRow[] {
  return connection.all<ObservationRow>(
    `SELECT ${OBSERVATION_COLUMNS} FROM json_each(?) k CROSS JOIN observations o INDEXED BY observations_by_key
     ON o.feed = ? AND o.key = unhex(k.value)`,
    JSON.stringify(keys),
    findFeed(connection, feed) ?? null,
  );
}

/** In the order of the ids, then as the feeds came to say them. */
function findObjects(
  connection: Connection,
  feeds: readonly string[],
  ids: readonly string[],
): (StixObject & { feed: string })[] {
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

function hasAny(connection: Connection, { count }: Kind, feed: string): boolean {
  return connection.get<[number]>(`SELECT 1 FROM feeds WHERE name = ? AND ${count} > 0`, feed) !== undefined;
}

/** The first `limit` names of these feeds together, each once, ascending as SQLite compares them. */
function walkNames(
  connection: Connection,
  kind: Kind,
  feeds: readonly string[],
  after: string | null,
  limit: number,
): string[] {
  requireLimit(limit);
  const names = feeds.flatMap((feed) =>
    connection
      .all<[string]>(
        `SELECT ${kind.asText} FROM ${kind.table} o INDEXED BY ${kind.index}
         WHERE o.feed = ? AND o.${kind.name} > ${kind.fromText('?')} ORDER BY o.${kind.name} LIMIT ?`,
        findFeed(connection, feed) ?? null,
        after ?? '',
        limit,
      )
      .map(([name]) => name),
  );
  if (feeds.length === 1) return names;
  return connection
    .all<[string]>('SELECT DISTINCT value FROM json_each(?) ORDER BY value LIMIT ?', JSON.stringify(names), limit)
    .map(([name]) => name);
}

/** Reads the whole range of the index for each page: who asks for less than a network asks for less. */
function walkRange(
  connection: Connection,
  { from, to, prefix }: { from: string; to: string; prefix: string },
  after: string | null,
  limit: number,
): string[] {
  const rows = connection.all<[string]>(
    `SELECT DISTINCT lower(hex(o.key)) FROM observations o INDEXED BY observations_by_range
     WHERE o.range_key >= ? AND o.range_key < ? AND substr(o.range_key, -2) >= ? AND o.key > unhex(?)
     ORDER BY o.key LIMIT ?`,
    from,
    to,
    prefix,
    after ?? '',
    requireLimit(limit),
  );
  return rows.map(([key]) => key);
}

function walkMarked(
  connection: Connection,
  kind: Kind,
  feed: string,
  markings: readonly string[],
  after: string | null,
  limit: number,
): string[] {
  const rows = connection.all<[string]>(
    `SELECT ${kind.asText} FROM ${kind.table} o INDEXED BY ${kind.byMarking}
     WHERE o.feed = ? AND o.${kind.name} > ${kind.fromText('?')} AND o.markings IS NOT NULL
       AND EXISTS (SELECT 1 FROM json_each(?) m WHERE instr(o.markings, m.value))
     ORDER BY o.${kind.name} LIMIT ?`,
    findFeed(connection, feed) ?? null,
    after ?? '',
    JSON.stringify(markings),
    requireLimit(limit),
  );
  return rows.map(([name]) => name);
}

import type { Observation } from '../../model/observation.ts';
import type { ObservationWriter } from '../contract/observations.ts';
import { misuse, requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';
import { countGone, hasAny, OBSERVATIONS, walkMarked, walkNames } from './feed-rows.ts';
import { findFeed, openFeed } from './feeds.ts';
import { AMENDED } from './fingerprint.ts';
import {
  IncomingObservation,
  OBSERVATION_COLUMNS,
  type ObservationRow,
  observationFromRow,
  statementNumber,
} from './observation-rows.ts';
import type { Touch } from './pull.ts';
import { domainRange, networkRange } from './range-key.ts';
import { assignments, compare, keepShared, type RowIds, upsert } from './upsert.ts';
import { dropVerdicts } from './verdicts.ts';

export function writeObservations(connection: Connection, ids: RowIds, touch: Touch): Sync<ObservationWriter> {
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
      const number = findFeed(connection, feed);
      const update = `UPDATE observations INDEXED BY observations_by_key
        SET fingerprint = ${AMENDED}, ${assignments(OBSERVATIONS)} WHERE feed = ?2 AND key = unhex(?3) RETURNING id`;
      return observations.flatMap((observation) => {
        const row = standing.get(observation.key);
        if (row === undefined || number === undefined) throw misuse(`"${feed}" has no observation to amend`);
        const incoming = new IncomingObservation(observation);
        const known = new IncomingObservation(observationFromRow(feed, row));
        if (incoming.fingerprint === known.fingerprint) return [];
        const [id] = connection.one<[number]>(update, ...incoming.values(null, number));
        keepShared(connection, id, number, incoming.shared);
        return [observation.key];
      });
    },

    removeObservations(feed, keys) {
      const id = findFeed(connection, feed);
      if (id === undefined || keys.length === 0) return;
      const removed = connection.run(
        `DELETE FROM observations INDEXED BY observations_by_key
         WHERE feed = ? AND key IN (SELECT unhex(value) FROM json_each(?))`,
        id,
        JSON.stringify(keys),
      );
      countGone(connection, OBSERVATIONS, id, removed);
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
      const id = findFeed(connection, feed);
      if (id === undefined || statements.length === 0 || !hasAny(connection, OBSERVATIONS, feed)) return [];
      const wanted = new Set(statements);
      const numbers = JSON.stringify([...wanted].flatMap((id) => statementNumber(id) ?? []));
      // Each table by itself: nearly always there is nothing in either.
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

    observedKeys: (feeds, after, limit) => walkNames(connection, OBSERVATIONS, feeds, after, limit),

    markedKeys: (feed, markings, after, limit) => walkMarked(connection, OBSERVATIONS, feed, markings, after, limit),

    keysWithin(network, after, limit) {
      const { from, to, prefix } = networkRange(network);
      return walkRange(connection, { from, to, prefix }, after, limit);
    },

    keysUnder: (domain, after, limit) => walkRange(connection, { ...domainRange(domain), prefix: '' }, after, limit),
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

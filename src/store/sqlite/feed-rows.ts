import { requireLimit } from '../misuse.ts';
import type { Connection, Value } from './connection.ts';
import { findFeed } from './feeds.ts';

/** The two tables of what feeds said have the same life: found by (feed, name), compared by fingerprint, marked by id. */
export interface Kind {
  table: 'observations' | 'feed_objects';
  index: string;
  /** The index of rows that bear markings. */
  byMarking: string;
  /** The column that names a row within its feed, that column as text, and text as that column. */
  name: string;
  asText: string;
  fromText(parameter: string): string;
  /** What `Incoming.values` gives behind the first four, in its order. */
  columns: readonly string[];
  /** True: several rows of one name in one pull are combined. False: the last of them stands. */
  amended: boolean;
  /** The column of `feeds` that counts them. */
  count: 'observations' | 'objects';
}

export const OBSERVATIONS: Kind = {
  table: 'observations',
  index: 'observations_by_key',
  byMarking: 'observations_by_marking',
  name: 'key',
  asText: 'lower(hex(o.key))',
  fromText: (parameter) => `unhex(${parameter})`,
  columns: [
    'type',
    'value',
    'confidence',
    'tlp',
    'first_seen',
    'last_seen',
    'valid_from',
    'valid_until',
    'revoked',
    'source_id',
    'version',
    'statement',
    'heard_at',
    'markings',
    'range_key',
    'detail',
  ],
  amended: true,
  count: 'observations',
};

export const OBJECTS: Kind = {
  table: 'feed_objects',
  index: 'feed_objects_by_id',
  byMarking: 'feed_objects_by_marking',
  name: 'object_id',
  asText: 'o.object_id',
  fromText: (parameter) => parameter,
  columns: ['type', 'version', 'markings', 'end_a', 'end_b', 'raw'],
  amended: false,
  count: 'objects',
};

/** A row on its way in: its name in the feed, and a hash over all that it says. */
export interface Incoming {
  name: string;
  fingerprint: number;
  /** Numbers of the objects beside the first that say it. */
  shared: readonly number[];
  /** All of its columns: id, feed, name, fingerprint, and then `Kind.columns`. Made only for rows that are written. */
  values(id: number | null, feed: number): Value[];
}

export function hasAny(connection: Connection, { count }: Kind, feed: string): boolean {
  return connection.get<[number]>(`SELECT 1 FROM feeds WHERE name = ? AND ${count} > 0`, feed) !== undefined;
}

/** The first `limit` names of these feeds together, each once, ascending as SQLite compares them. */
export function walkNames(
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

export function walkMarked(
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

/** Changes how many rows of the kind the feed has. */
export function countRows(connection: Connection, kind: Kind, feed: number, change: number): void {
  if (change === 0) return;
  connection.run(`UPDATE feeds SET ${kind.count} = ${kind.count} + ? WHERE id = ?`, change, feed);
}

/** Counts rows that aged out: the feed itself did not withdraw them. */
export function countGone(connection: Connection, kind: Kind, feed: number, removed: number): void {
  countRows(connection, kind, feed, -removed);
  connection.run('UPDATE feeds SET gone = gone + ? WHERE id = ?', removed, feed);
}

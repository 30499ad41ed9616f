import type { Observed } from '../store.ts';
import type { Connection } from './connection.ts';
import { countRows, type Incoming, type Kind } from './feed-rows.ts';
import { compareFingerprints } from './fingerprint.ts';
import type { Seen } from './pull.ts';

/** Upserts of both kinds: rows are found by their names, compared by fingerprint, and marked as seen. */

/** Row ids are never given twice while the process lives, so a mark in a pull never comes to mean another row. */
export class RowIds {
  readonly #next = new Map<Kind['table'], number>();

  take(connection: Connection, table: Kind['table']): number {
    const next =
      this.#next.get(table) ?? connection.get<[number]>(`SELECT coalesce(max(id), 0) + 1 FROM ${table}`)?.[0] ?? 1;
    this.#next.set(table, next + 1);
    return next;
  }
}

/** Rows beside what stands under their names; no two of them have the same name. */
interface Compared<Row> {
  fresh: Row[];
  different: { row: Row; id: number; fingerprint: number }[];
}

/** Marks rows that are kept with the same content, and returns the others. */
export function compare<Row extends Incoming>(
  connection: Connection,
  kind: Kind,
  feed: number,
  seen: Seen,
  rows: readonly Row[],
): Compared<Row> {
  const standing = connection.all<[number, number, number]>(
    `SELECT n.key, o.id, o.fingerprint FROM json_each(?) n CROSS JOIN ${kind.table} o INDEXED BY ${kind.index}
     ON o.feed = ? AND o.${kind.name} = ${kind.fromText('n.value')}`,
    JSON.stringify(rows.map(({ name }) => name)),
    feed,
  );
  const isKnown = new Uint8Array(rows.length);
  const different: Compared<Row>['different'] = [];
  for (const [at, id, fingerprint] of standing) {
    const row = rows[at] as Row;
    isKnown[at] = 1;
    if (compareFingerprints(fingerprint, row.fingerprint) === 'same') seen.add(id);
    else different.push({ row, id, fingerprint });
  }
  return { fresh: standing.length === 0 ? [...rows] : rows.filter((_, at) => isKnown[at] === 0), different };
}

/** Keeps rows that are new or differ, and marks all rows as seen. Returns the names of those kept, and of those that came `again`. */
export function upsert(
  connection: Connection,
  ids: RowIds,
  kind: Kind,
  feed: number,
  seen: Seen,
  rows: readonly Incoming[],
): Observed {
  const { fresh, different } = compare(connection, kind, feed, seen, rows);
  const changed: string[] = [];
  const again: string[] = [];
  const update = connection.statement(`UPDATE ${kind.table} SET fingerprint = ?4, ${assignments(kind)} WHERE id = ?1`);
  for (const { row, id, fingerprint } of different) {
    const isAgain = kind.amended && seen.has(id);
    seen.add(id);
    // It was amended since, but the row that came first is the same.
    if (compareFingerprints(fingerprint, row.fingerprint) === 'amended') continue;
    if (isAgain) again.push(row.name);
    else {
      update.run(...row.values(id, feed));
      if (kind.amended) keepShared(connection, id, feed, row.shared);
      changed.push(row.name);
    }
  }
  const insert = connection.statement(
    `INSERT INTO ${kind.table} (${['id', 'feed', kind.name, 'fingerprint', ...kind.columns].join(', ')})
     VALUES (?, ?, ${kind.fromText('?')}, ?${', ?'.repeat(kind.columns.length)})`,
  );
  for (const row of fresh) {
    const id = ids.take(connection, kind.table);
    insert.run(...row.values(id, feed));
    if (row.shared.length > 0) keepShared(connection, id, feed, row.shared);
    seen.add(id);
    changed.push(row.name);
  }
  countRows(connection, kind, feed, fresh.length);
  return { changed, again };
}

/** Which objects beside the first say an observation, in place of those that did. */
export function keepShared(connection: Connection, id: number, feed: number, shared: readonly number[]): void {
  connection.run('DELETE FROM shared_statements WHERE observation = ?', id);
  for (const statement of new Set(shared)) {
    connection.run(
      'INSERT INTO shared_statements (observation, feed, statement) VALUES (?, ?, ?)',
      id,
      feed,
      statement,
    );
  }
}

/** Of the columns behind the first four, whose parameters are ?1 to ?4. */
export function assignments({ columns }: Kind): string {
  return columns.map((column, at) => `${column} = ?${at + 5}`).join(', ');
}

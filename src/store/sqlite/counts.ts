import type { Connection } from './connection.ts';

/** A table that counts rows of another one, by the columns that name a count. */
interface CountTable {
  table: string;
  /** In the table's order: first those that one call has in common, then those of each row of `Changes`. */
  names: readonly string[];
  count: string;
}

export const STANDING: CountTable = {
  table: 'standing',
  names: ['journal', 'type', 'superseded', 'revoked'],
  count: 'entries',
};
export const CITED: CountTable = { table: 'cited', names: ['journal', 'feed', 'kind'], count: 'entries' };
export const VERDICT_COUNTS: CountTable = {
  table: 'verdict_counts',
  names: ['journal', 'feed', 'kind', 'reason'],
  count: 'verdicts',
};
export const REJECTIONS_KEPT: CountTable = {
  table: 'rejections_kept',
  names: ['feed', 'reason', 'note'],
  count: 'count',
};

/** By how much counts change in one call. Of the columns that name a count, at most one is a text. */
export class Changes<Name extends readonly (string | number)[]> {
  readonly #sums = new Map<string, { name: Name; change: number }>();

  add(name: Name, change: number): void {
    const key = name.join(' ');
    const sum = this.#sums.get(key);
    if (sum === undefined) this.#sums.set(key, { name, change });
    else sum.change += change;
  }

  /** `common`: values of the first columns of the table. */
  save(connection: Connection, { table, names, count }: CountTable, ...common: number[]): void {
    const insert = `INSERT INTO ${table} VALUES (${names.map(() => '?').join(', ')}, 0) ON CONFLICT DO NOTHING`;
    const update = `UPDATE ${table} SET ${count} = ${count} + ? WHERE ${names.map((name) => `${name} = ?`).join(' AND ')}`;
    for (const { name, change } of this.#sums.values()) {
      if (change === 0) continue;
      connection.run(insert, ...common, ...name);
      connection.run(update, change, ...common, ...name);
    }
  }
}

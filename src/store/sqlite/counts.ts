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

interface Sum<Name> {
  name: Name;
  change: number;
}

/** A part of a name, the parts that follow it, and the sum of the name that ends with it. */
interface Part<Name> {
  following: Map<string | number, Part<Name>>;
  sum: Sum<Name> | null;
}

/** By how much counts change in one call. */
export class Changes<Name extends readonly (string | number)[]> {
  readonly #root: Part<Name> = { following: new Map(), sum: null };
  readonly #sums: Sum<Name>[] = [];

  /** Is called for every row that is written. To look up part by part costs less than to make one text of them (measured). */
  add(name: Name, change: number): void {
    let part = this.#root;
    for (const each of name) {
      let next = part.following.get(each);
      if (next === undefined) {
        next = { following: new Map(), sum: null };
        part.following.set(each, next);
      }
      part = next;
    }
    if (part.sum === null) {
      part.sum = { name, change };
      this.#sums.push(part.sum);
    } else part.sum.change += change;
  }

  /** `common`: values of the first columns of the table. */
  save(connection: Connection, { table, names, count }: CountTable, ...common: number[]): void {
    const insert = `INSERT INTO ${table} VALUES (${names.map(() => '?').join(', ')}, 0) ON CONFLICT DO NOTHING`;
    const update = `UPDATE ${table} SET ${count} = ${count} + ? WHERE ${names.map((name) => `${name} = ?`).join(' AND ')}`;
    for (const { name, change } of this.#sums) {
      if (change === 0) continue;
      connection.run(insert, ...common, ...name);
      connection.run(update, change, ...common, ...name);
    }
  }
}

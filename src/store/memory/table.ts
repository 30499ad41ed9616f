/** Rows by their keys, in the order in which they were inserted. */
export interface Rows<V> {
  get(key: string): V | undefined;
  values(): Iterable<V>;
}

/** A map with one transaction at a time: its changes lie over the committed rows until they are committed or rolled back. */
export class Table<V> implements Rows<V> {
  readonly #committed = new Map<string, V>();
  /** Undefined: deleted. */
  readonly #changes = new Map<string, V | undefined>();
  /** The rows without the changes of the running transaction. */
  readonly committed: Rows<V> = this.#committed;

  get(key: string): V | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#committed.get(key);
  }

  *values(): Iterable<V> {
    for (const [key, value] of this.#committed) {
      const row = this.#changes.has(key) ? this.#changes.get(key) : value;
      if (row !== undefined) yield row;
    }
    for (const [key, row] of this.#changes) {
      if (row !== undefined && !this.#committed.has(key)) yield row;
    }
  }

  set(key: string, row: V): void {
    this.#changes.set(key, row);
  }

  delete(key: string): void {
    this.#changes.set(key, undefined);
  }

  /** The committed rows as they are now, whatever is committed later: rows are never changed in their place. */
  copy(): Rows<V> {
    return new Map(this.#committed);
  }

  end(outcome: 'commit' | 'rollback'): void {
    if (outcome === 'commit') {
      for (const [key, row] of this.#changes) {
        if (row === undefined) this.#committed.delete(key);
        else this.#committed.set(key, row);
      }
    }
    this.#changes.clear();
  }
}

/** The key of a row that several values name together. */
export function keyOf(...parts: (string | number)[]): string {
  return JSON.stringify(parts);
}

export function matching<V>(rows: Rows<V>, test: (row: V) => boolean): V[] {
  const found: V[] = [];
  for (const row of rows.values()) if (test(row)) found.push(row);
  return found;
}

/** The names ascending, each once, strictly after `after`, up to `limit`. */
export function pageOf(names: Iterable<string>, after: string | null, limit: number): string[] {
  const behind = after === null ? [...names] : [...names].filter((name) => name > after);
  return [...new Set(behind)].sort().slice(0, limit);
}

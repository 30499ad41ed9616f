import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { GatewayError, type StoreFault } from '../../model/error.ts';
import type { CommitSignal } from '../store.ts';

export type Value = SQLInputValue;
export type Named = Record<string, Value>;

/** Most prepared statements kept; filters make a handful of texts, far below it. */
const MAX_STATEMENTS = 300;
/** Milliseconds that a statement waits for a lock of another process. */
const BUSY_TIMEOUT = 5000;

const ignore = (): void => undefined;

/** One open database: prepared statements by their text, rows as arrays. */
export class Connection {
  readonly db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #take: (row: unknown[]) => void = ignore;

  private constructor(db: DatabaseSync) {
    this.db = db;
    db.function('take', { varargs: true, directOnly: true }, (...row: unknown[]) => {
      this.#take(row);
      return null;
    });
  }

  /**
   * For the one writer. FULL cost 1 to 2% of ingest when a commit was 20,000 rows (measured) and keeps what was acknowledged
   * through a power cut as well (https://sqlite.org/pragma.html#pragma_synchronous). 32 MB of pages take in 400,000 rows at
   * the processor time of 64 MB; 16 MB cost a quarter more, in reading pages again (measured).
   */
  static openForWriting(file: string): Connection {
    return Connection.#open(file, false, [
      'PRAGMA page_size = 8192',
      'PRAGMA synchronous = FULL',
      'PRAGMA cache_size = -32768',
      'PRAGMA wal_autocheckpoint = 16000',
      'PRAGMA journal_size_limit = 134217728',
    ]);
  }

  static openForReading(file: string): Connection {
    return Connection.#open(file, true, ['PRAGMA query_only = 1', 'PRAGMA cache_size = -16384']);
  }

  static #open(file: string, readOnly: boolean, pragmas: string[]): Connection {
    const db = new DatabaseSync(locate(file), { readOnly, timeout: BUSY_TIMEOUT, allowExtension: false });
    try {
      for (const pragma of ['PRAGMA trusted_schema = 0', 'PRAGMA temp_store = MEMORY', ...pragmas]) db.exec(pragma);
      return new Connection(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** The statement of this text; what is asked for most recently stays. */
  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare(sql);
      statement.setReturnArrays(true);
      statement.setAllowUnknownNamedParameters(true);
      if (this.#statements.size >= MAX_STATEMENTS) {
        for (const oldest of this.#statements.keys()) {
          this.#statements.delete(oldest);
          break;
        }
      }
    } else {
      this.#statements.delete(sql);
    }
    this.#statements.set(sql, statement);
    return statement;
  }

  all<Row extends readonly unknown[]>(sql: string, ...values: Value[]): Row[] {
    return this.statement(sql).all(...values) as unknown as Row[];
  }

  get<Row extends readonly unknown[]>(sql: string, ...values: Value[]): Row | undefined {
    return this.statement(sql).get(...values) as unknown as Row | undefined;
  }

  /** The only row of a query that always has one. */
  one<Row extends readonly unknown[]>(sql: string, ...values: Value[]): Row {
    const row = this.get<Row>(sql, ...values);
    if (row === undefined) throw new Error(`no row came of ${sql}`);
    return row;
  }

  allNamed<Row extends readonly unknown[]>(sql: string, values: Named): Row[] {
    return this.statement(sql).all(values) as unknown as Row[];
  }

  /**
   * Hands wide rows to `visit` as they are read, each as what `take(a, b, …)` was given, the only column of the query; answers
   * how many there were. SQLite locks for each look at a column of a result, not at an argument of a function: this takes two
   * thirds of the time, and no row is held longer than its visit. Throws for a query that sorts, which would take more rows than
   * its result has, in another order.
   */
  each<Row extends readonly unknown[]>(sql: string, values: Value[] | Named, visit: (row: Row) => void): number {
    let taken = 0;
    this.#take = (row) => {
      taken += 1;
      visit(row as unknown as Row);
    };
    try {
      const statement = this.statement(sql);
      const { length } = Array.isArray(values) ? statement.all(...values) : statement.all(values);
      if (length !== taken) throw new Error(`${taken} rows were taken for the ${length} of ${sql}`);
      return length;
    } finally {
      this.#take = ignore;
    }
  }

  /** Answers how many rows changed. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.statement(sql).run(...values).changes);
  }

  /** All that `work` reads is of one moment. Never outlives the call. */
  inOneView<T>(work: () => T): T {
    if (this.db.isTransaction) return work();
    this.db.exec('BEGIN');
    try {
      return work();
    } finally {
      if (this.db.isTransaction) this.db.exec('COMMIT');
    }
  }

  close(): void {
    this.#statements.clear();
    if (this.db.isOpen) this.db.close();
  }
}

/**
 * The file with SQLite's `unix-excl` VFS (https://sqlite.org/vfs.html): all threads of this process share the file, and no other
 * process opens it, for reading either. So there is one writer even where somebody removed the lock of the data directory, and
 * the index of the log is in memory instead of a `-shm` file. Elsewhere than on Unix, SQLite's own locks have to do.
 */
export function locate(file: string): URL | string {
  if (process.platform === 'win32') return file;
  const url = pathToFileURL(file);
  url.searchParams.set('vfs', 'unix-excl');
  return url;
}

/** https://sqlite.org/rescode.html#busy */
export const SQLITE_BUSY = 5;

/** https://sqlite.org/rescode.html; extended codes carry these in their low byte. */
const faults: Record<number, { fault: StoreFault; message: string }> = {
  11: { fault: 'store-damaged', message: 'The file of the store is damaged (SQLITE_CORRUPT).' },
  13: { fault: 'store-full', message: 'The disk of the store is full (SQLITE_FULL).' },
  26: { fault: 'store-damaged', message: 'The file of the store is damaged (SQLITE_NOTADB).' },
};

/** SQLite's own number of what failed; extended codes carry it in their low byte. */
export function errcodeOf(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** GatewayErrors as they are; anything else failed in here. What is wrong with the store as a whole is told to `signal`. */
export function asStoreError(error: unknown, signal?: CommitSignal): GatewayError {
  if (error instanceof GatewayError) return error;
  const known = faults[errcodeOf(error) ?? -1];
  if (known === undefined) return new GatewayError('store-failed', 'The store failed.', { cause: error });
  signal?.found(known.fault);
  return new GatewayError(known.fault, known.message, { cause: error });
}

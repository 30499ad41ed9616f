import type { DatabaseSync } from 'node:sqlite';

/** One step from a version of the database file to the next. */
export interface Migration {
  /** 1, 2, 3 …: becomes the file's `user_version`. */
  version: number;
  /** Defines functions that the SQL calls. */
  prepare?(db: DatabaseSync): void;
  sql: string;
}

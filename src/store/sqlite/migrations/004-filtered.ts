import type { Migration } from '../migration.ts';

/** Feeds of before had no filter. */
export const filtered: Migration = {
  version: 4,
  sql: 'ALTER TABLE feeds ADD COLUMN filtered INT NOT NULL DEFAULT 0',
};

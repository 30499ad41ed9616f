import type { Migration } from '../migration.ts';

/** Keys of before stand in header fields. */
export const pathKey: Migration = {
  version: 9,
  sql: 'ALTER TABLE clients ADD COLUMN path_key INT NOT NULL DEFAULT 0 CHECK (path_key IN (0, 1))',
};

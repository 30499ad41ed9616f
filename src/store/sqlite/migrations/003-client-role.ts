import type { Migration } from '../migration.ts';

/** Clients of before only read. */
export const clientRole: Migration = {
  version: 3,
  sql: `ALTER TABLE clients ADD COLUMN role TEXT NOT NULL DEFAULT 'reader' CHECK (role IN ('reader', 'operator'))`,
};

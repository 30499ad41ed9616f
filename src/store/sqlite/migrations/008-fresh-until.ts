import type { Migration } from '../migration.ts';

/** What publishers of before said on how long their answers stay as they are was not kept. */
export const freshUntil: Migration = {
  version: 8,
  sql: 'ALTER TABLE feeds ADD COLUMN fresh_until INT',
};

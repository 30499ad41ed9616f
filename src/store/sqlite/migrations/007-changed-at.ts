import type { Migration } from '../migration.ts';

/** Of feeds of before it is not known when their lists changed: that counts from their next whole pull. */
export const changedAt: Migration = {
  version: 7,
  sql: 'ALTER TABLE feeds ADD COLUMN changed_at INT',
};

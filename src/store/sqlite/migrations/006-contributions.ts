import type { Migration } from '../migration.ts';

/** Clients of before only read. */
export const contributions: Migration = {
  version: 6,
  sql: `
ALTER TABLE clients ADD COLUMN writes TEXT NOT NULL DEFAULT '[]';
CREATE TABLE contributions (
  id TEXT NOT NULL UNIQUE,
  client TEXT NOT NULL,
  at INT NOT NULL,
  -- JSON lists of objects.
  taken TEXT NOT NULL,
  refused TEXT NOT NULL
) STRICT;
CREATE INDEX contributions_by_client ON contributions (client, at);
CREATE INDEX contributions_by_time ON contributions (at);
`,
};

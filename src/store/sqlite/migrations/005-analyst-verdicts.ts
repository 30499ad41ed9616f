import type { Migration } from '../migration.ts';

/** Verdicts of analysts. At most one stands on each question (0: is it bad, 1: was it seen) about an observable of a pool. */
export const analystVerdicts: Migration = {
  version: 5,
  sql: `
CREATE TABLE analyst_verdicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pool TEXT NOT NULL,
  key BLOB NOT NULL CHECK (length(key) = 16),
  type INT NOT NULL,
  value TEXT NOT NULL,
  kind INT NOT NULL,
  question INT NOT NULL,
  given_by TEXT NOT NULL,
  note TEXT,
  given_at INT NOT NULL,
  seen_at INT,
  until INT,
  ended_at INT,
  -- Null where its date came.
  ended_by TEXT
) STRICT;
CREATE UNIQUE INDEX analyst_verdicts_standing ON analyst_verdicts (pool, key, question) WHERE ended_at IS NULL;
CREATE INDEX analyst_verdicts_by_key ON analyst_verdicts (pool, key, question);
CREATE INDEX analyst_verdicts_by_end ON analyst_verdicts (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX analyst_verdicts_by_date ON analyst_verdicts (until) WHERE ended_at IS NULL AND until IS NOT NULL;
`,
};

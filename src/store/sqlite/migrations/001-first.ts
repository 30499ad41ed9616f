import type { Migration } from '../migration.ts';

/**
 * The tables that everything stands on. Feeds and journals are numbered inside the engine, dates are microseconds, keys
 * and UUIDs are 16 bytes. A random index costs a page write per row of a batch, so there are only four of them: what a
 * feed said by key, and by the STIX object that says it, an entry by object, an entry by key. Everything else grows at its end.
 */
export const first: Migration = {
  version: 1,
  sql: `
-- The store's own identity: namespace, cursor_secret.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Feeds, their state between polls (saved = 1) and how much is held of them.
CREATE TABLE feeds (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  saved INT NOT NULL DEFAULT 0,
  cursor TEXT, moved_at INT, etag TEXT, last_modified TEXT, body_hash TEXT,
  confirmed_at INT, succeeded_at INT, attempted_at INT, next_poll_at INT,
  failures INT NOT NULL DEFAULT 0,
  error TEXT, gap TEXT, note TEXT, lapsed_at INT,
  accepted INT NOT NULL DEFAULT 0,
  rejected INT NOT NULL DEFAULT 0,
  -- The account of its rows: model/state.ts.
  rows_read INT NOT NULL DEFAULT 0,
  split INT NOT NULL DEFAULT 0,
  folded INT NOT NULL DEFAULT 0,
  gone INT NOT NULL DEFAULT 0,
  -- Pulls that refused rows.
  pulls INT NOT NULL DEFAULT 0,
  observations INT NOT NULL DEFAULT 0,
  objects INT NOT NULL DEFAULT 0
) STRICT;

-- What each feed says about each observable. The index alone answers an unchanged re-poll. The fingerprint is of what came
-- first in a pull; negative once that was amended.
CREATE TABLE observations (
  id INTEGER PRIMARY KEY,
  feed INT NOT NULL,
  key BLOB NOT NULL CHECK (length(key) = 16),
  fingerprint INT NOT NULL,
  type INT NOT NULL,
  value TEXT NOT NULL,
  confidence INT, tlp INT,
  first_seen INT, last_seen INT, valid_from INT, valid_until INT,
  revoked INT NOT NULL,
  source_id TEXT,
  -- Of the upstream object: its version, and a number that is made of its id.
  version INT,
  statement INT,
  heard_at INT NOT NULL,
  -- Markings that only their definitions explain, with spaces between; null for none.
  markings TEXT,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX observations_by_key ON observations (feed, key, fingerprint);
CREATE INDEX observations_by_statement ON observations (feed, statement) WHERE statement IS NOT NULL;
CREATE INDEX observations_by_marking ON observations (feed, key, markings) WHERE markings IS NOT NULL;

-- Further objects of a feed that say what an observation says. There are few.
CREATE TABLE shared_statements (
  observation INT NOT NULL,
  feed INT NOT NULL,
  statement INT NOT NULL,
  PRIMARY KEY (observation, statement)
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_statements_by_statement ON shared_statements (feed, statement);
CREATE TRIGGER shared_statements_end AFTER DELETE ON observations BEGIN
  DELETE FROM shared_statements WHERE observation = old.id;
END;

-- The version in which a STIX object of a feed ended: an older one that comes again says nothing.
CREATE TABLE ended_statements (
  feed INT NOT NULL,
  object_id TEXT NOT NULL,
  version INT NOT NULL,
  heard_at INT NOT NULL,
  PRIMARY KEY (feed, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_statements_by_age ON ended_statements (feed, heard_at);

-- STIX objects that pass verbatim.
CREATE TABLE feed_objects (
  id INTEGER PRIMARY KEY,
  feed INT NOT NULL,
  object_id TEXT NOT NULL,
  fingerprint INT NOT NULL,
  type TEXT NOT NULL,
  version TEXT,
  markings TEXT,
  -- Numbers made of the ids of indicators and vulnerabilities at a relation's ends.
  end_a INT, end_b INT,
  raw TEXT NOT NULL
) STRICT;
CREATE INDEX feed_objects_by_id ON feed_objects (feed, object_id, fingerprint);
CREATE INDEX feed_objects_by_marking ON feed_objects (feed, object_id, markings) WHERE markings IS NOT NULL;
CREATE INDEX feed_objects_by_end_a ON feed_objects (feed, end_a, object_id) WHERE end_a IS NOT NULL;
CREATE INDEX feed_objects_by_end_b ON feed_objects (feed, end_b, object_id) WHERE end_b IS NOT NULL;

-- head: date of the newest entry ever appended. stamped: the last date ever given out, used or not.
CREATE TABLE journals (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  pool TEXT NOT NULL,
  keep_versions TEXT NOT NULL CHECK (keep_versions IN ('last', 'all')),
  policy_hash TEXT,
  head INT,
  stamped INT NOT NULL DEFAULT 0
) STRICT;

-- A code for each combination that a reader filters by: views and match[type] are both sets of codes.
-- observable is 0 for objects that are no indicators; company marks what every view keeps.
CREATE TABLE entry_types (
  code INTEGER PRIMARY KEY,
  stix_type TEXT NOT NULL,
  observable INT NOT NULL,
  company INT NOT NULL,
  UNIQUE (stix_type, observable, company)
) STRICT;

-- Numbered rows, not WITHOUT ROWID: rows are wide, and a tree with rows in its branches is deep. A row that is found by
-- type, object or key costs one page this way.
CREATE TABLE entries (
  id INTEGER PRIMARY KEY,
  journal INT NOT NULL,
  date_added INT NOT NULL,
  type INT NOT NULL,
  -- The 16 bytes of the id's UUID; whatever else follows the "--" of a foreign id is kept as text.
  uuid ANY NOT NULL,
  version INT NOT NULL,
  superseded INT NOT NULL CHECK (superseded IN (0, 1)),
  revoked INT NOT NULL CHECK (revoked IN (0, 1)),
  due INT,
  key BLOB CHECK (length(key) = 16),
  value TEXT,
  generation INT, created INT, valid_from INT, valid_until INT,
  reason TEXT,
  confidence INT,
  tlp INT,
  first_seen INT, last_seen INT,
  name TEXT, description TEXT, labels TEXT, refs TEXT, sources TEXT, kept TEXT,
  fingerprint TEXT,
  raw TEXT,
  CHECK ((raw IS NULL) = (key IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX entries_by_date ON entries (journal, date_added);
-- Covers every filter of a page, so what a filter leaves out is never read; a million tombstones are not even passed over.
CREATE INDEX entries_by_type ON entries (journal, type, superseded, revoked, date_added, confidence, version);
CREATE INDEX entries_by_key ON entries (journal, key, revoked) WHERE superseded = 0 AND key IS NOT NULL;
-- Among equals ids rise with dates: a row is appended behind all that stand, so neither index needs the date.
CREATE INDEX entries_by_uuid ON entries (journal, uuid);
CREATE INDEX entries_by_due ON entries (journal, due) WHERE due IS NOT NULL;

-- Relations of a journal by the observables whose live entries are their ends in it.
CREATE TABLE pointers (
  journal INT NOT NULL,
  key BLOB NOT NULL CHECK (length(key) = 16),
  object_id TEXT NOT NULL,
  PRIMARY KEY (journal, key, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pointers_by_object ON pointers (journal, object_id);

-- How many entries stand in a journal with the same leading columns of entries_by_type.
CREATE TABLE standing (
  journal INT NOT NULL,
  type INT NOT NULL,
  superseded INT NOT NULL,
  revoked INT NOT NULL,
  entries INT NOT NULL CHECK (entries >= 0),
  PRIMARY KEY (journal, type, superseded, revoked)
) STRICT, WITHOUT ROWID;

-- Stretches of a journal with a count of what changed in them: what a cached page is compared by.
CREATE TABLE segments (
  journal INT NOT NULL,
  first_date INT NOT NULL,
  entries INT NOT NULL,
  changes INT NOT NULL,
  PRIMARY KEY (journal, first_date)
) STRICT, WITHOUT ROWID;

-- How many live indicators of a journal name a feed; of entries, whatever becomes of the feed.
CREATE TABLE cited (
  journal INT NOT NULL,
  feed TEXT NOT NULL,
  kind INT NOT NULL,
  entries INT NOT NULL CHECK (entries >= 0),
  PRIMARY KEY (journal, feed, kind)
) STRICT, WITHOUT ROWID;

-- Observations (by their key) that a journal leaves out, and of objects (by their id) all: reason 0 is what is live.
CREATE TABLE verdicts (
  journal INT NOT NULL,
  feed INT NOT NULL,
  name ANY NOT NULL,
  kind INT NOT NULL,
  reason INT NOT NULL,
  PRIMARY KEY (journal, feed, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE verdict_counts (
  journal INT NOT NULL,
  feed INT NOT NULL,
  kind INT NOT NULL,
  reason INT NOT NULL,
  verdicts INT NOT NULL CHECK (verdicts >= 0),
  PRIMARY KEY (journal, feed, kind, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (account TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE rejections (
  id INTEGER PRIMARY KEY,
  feed INT NOT NULL,
  -- Of reason, row and note.
  hash BLOB NOT NULL CHECK (length(hash) = 16),
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  row TEXT NOT NULL,
  first_at INT NOT NULL,
  last_at INT NOT NULL,
  count INT NOT NULL,
  -- The last pull of the feed that refused it.
  pull INT NOT NULL,
  note INT NOT NULL CHECK (note IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX rejections_by_hash ON rejections (feed, hash);
CREATE INDEX rejections_by_time ON rejections (feed, last_at);
-- How many of them there are.
CREATE TABLE rejections_kept (
  feed INT NOT NULL,
  reason TEXT NOT NULL,
  note INT NOT NULL,
  count INT NOT NULL CHECK (count >= 0),
  PRIMARY KEY (feed, reason, note)
) STRICT, WITHOUT ROWID;
-- How many rows had to go for newer ones, by the last pull that refused them.
CREATE TABLE rejections_dropped (
  feed INT NOT NULL,
  reason TEXT NOT NULL,
  note INT NOT NULL,
  pull INT NOT NULL,
  count INT NOT NULL,
  PRIMARY KEY (feed, reason, note, pull)
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
  name TEXT PRIMARY KEY,
  collections TEXT,
  tlp INT NOT NULL,
  rate_max INT NOT NULL,
  rate_per INT NOT NULL,
  created_at INT NOT NULL,
  revoked_at INT
) STRICT, WITHOUT ROWID;
CREATE TABLE client_keys (hash BLOB PRIMARY KEY CHECK (length(hash) = 32), client TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- A revoked client keeps its own, so one may be named by another client again.
CREATE TABLE client_certificates (
  client TEXT NOT NULL,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  PRIMARY KEY (client, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
  sink TEXT NOT NULL,
  view TEXT NOT NULL,
  date_added INT NOT NULL,
  updated_at INT NOT NULL,
  renewed_at INT NOT NULL,
  PRIMARY KEY (sink, view)
) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letters (
  sink TEXT NOT NULL,
  view TEXT NOT NULL,
  date_added INT NOT NULL,
  object_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  attempts INT NOT NULL,
  at INT NOT NULL,
  PRIMARY KEY (sink, view, date_added)
) STRICT, WITHOUT ROWID;
`,
};

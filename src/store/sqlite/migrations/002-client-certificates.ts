import type { Migration } from '../migrate.ts';

/** Certificates that clients sign in with. A revoked client keeps its own, so one may be named by another client again. */
export const clientCertificates: Migration = {
  version: 2,
  sql: `
CREATE TABLE client_certificates (
  client TEXT NOT NULL,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  PRIMARY KEY (client, fingerprint)
) STRICT, WITHOUT ROWID;
`,
};

/** Feeds remember the last time that their upstream could not be asked about any more. */
export const gaps = {
  version: 3,
  sql: `
ALTER TABLE feeds ADD COLUMN gap TEXT;
`,
};

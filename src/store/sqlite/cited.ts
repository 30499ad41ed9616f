import type { Claim, Entry } from '../../model/entry.ts';
import type { ServedCount } from '../../model/served.ts';
import { observableCodes, observableOfCode } from './codes.ts';
import type { Connection } from './connection.ts';
import type { Changes } from './counts.ts';

/**
 * How many live indicators of a journal name each feed. Counted from the entries themselves as they come and go: what the
 * journal really says, beside what it was judged to leave out.
 */

/** Of one journal, by the feed and the code of the observable type. */
export type CitedChanges = Changes<[feed: string, kind: number]>;

/** Counts an entry that begins to be served. */
export function cite(changes: CitedChanges, entry: Entry): void {
  if (entry.kind === 'object' || entry.revoked || entry.superseded) return;
  citeSources(changes, entry.sources, observableCodes[entry.type], 1);
}

/** `sources`: a JSON array of Claim. */
export function citeSources(changes: CitedChanges, sources: string, kind: number, change: 1 | -1): void {
  const claims: Claim[] = JSON.parse(sources);
  for (const { feed, network } of claims) {
    // What the feed holds is the network, which has a verdict of its own.
    if (network === undefined) changes.add([feed, kind], change);
  }
}

export function readCited(connection: Connection): ServedCount[] {
  const rows = connection.all<[string, string, number, number]>(
    `SELECT j.name, c.feed, c.kind, c.entries FROM cited c CROSS JOIN journals j ON j.id = c.journal
     WHERE c.entries > 0`,
  );
  return rows.map(([journal, feed, kind, entries]) => {
    return { journal, feed, kind: observableOfCode(kind), reason: null, rows: entries };
  });
}

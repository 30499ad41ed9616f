import type { Claim, Entry } from '../../model/entry.ts';
import type { ServedCount } from '../../model/served.ts';
import type { Connection } from './connection.ts';
import { observableCodes, observableOfCode } from './rows.ts';

/**
 * How many live indicators of a journal name each feed. Counted from the entries themselves as they come and go: what the
 * journal really says, beside what it was judged to leave out.
 */

/** By how much the rows of `cited` of one journal change: by feed, then by kind. */
export type Cited = Map<string, Map<number, number>>;

/** An entry that begins to be served. */
export function cite(cited: Cited, entry: Entry): void {
  if (entry.kind === 'object' || entry.revoked || entry.superseded) return;
  citeSources(cited, entry.sources, observableCodes[entry.type], 1);
}

/** `sources`: a JSON array of Claim. */
export function citeSources(cited: Cited, sources: string, kind: number, change: number): void {
  for (const { feed, network } of JSON.parse(sources) as Claim[]) {
    // What the feed holds is the network, which has a verdict of its own.
    if (network !== undefined) continue;
    let kinds = cited.get(feed);
    if (kinds === undefined) {
      kinds = new Map();
      cited.set(feed, kinds);
    }
    kinds.set(kind, (kinds.get(kind) ?? 0) + change);
  }
}

export function countCited(connection: Connection, journal: number, cited: Cited): void {
  for (const [feed, kinds] of cited) {
    for (const [kind, change] of kinds) {
      if (change === 0) continue;
      connection.run('INSERT INTO cited VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING', journal, feed, kind);
      connection.run(
        'UPDATE cited SET entries = entries + ? WHERE journal = ? AND feed = ? AND kind = ?',
        change,
        journal,
        feed,
        kind,
      );
    }
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

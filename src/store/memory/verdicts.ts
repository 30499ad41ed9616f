import type { Claim } from '../../model/entry.ts';
import type { ServedCount } from '../../model/served.ts';
import type { VerdictReader, VerdictWriter } from '../contract/verdicts.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { VerdictRow, View, WritableTables } from './database.ts';
import { requireJournal } from './journals.ts';
import { keyOf, matching } from './table.ts';

export function readVerdicts(view: View): Sync<VerdictReader> {
  return {
    served() {
      const counts = new Map<string, ServedCount>();
      const count = (row: Omit<ServedCount, 'rows'>): void => {
        const name = keyOf(row.journal, row.feed, row.kind, String(row.reason));
        counts.set(name, { ...row, rows: (counts.get(name)?.rows ?? 0) + 1 });
      };
      for (const { journal, entry } of view.entries.values()) {
        if (entry.kind === 'object' || entry.revoked || entry.superseded) continue;
        const claims: Claim[] = JSON.parse(entry.sources);
        // What the feed holds is the network, which has a verdict of its own.
        for (const { feed, network } of claims)
          if (network === undefined) count({ journal, feed, kind: entry.type, reason: null });
      }
      for (const { journal, feed, kind, reason } of view.verdicts.values()) count({ journal, feed, kind, reason });
      return [...counts.values()];
    },

    leftOut(journal, feed, limit) {
      requireLimit(limit, 0);
      const rows = matching(view.verdicts, (row) => row.journal === journal && row.feed === feed).sort((a, b) =>
        a.name < b.name ? -1 : 1,
      );
      const observations = rows.flatMap(({ of, name, kind, reason }) => {
        const observed = of === 'observation' ? view.observations.get(keyOf(feed, name)) : undefined;
        return observed === undefined || reason === null
          ? []
          : [{ kind, value: observed.observation.observable.value, reason }];
      });
      const objects = rows.flatMap(({ of, name, kind, reason }) =>
        of === 'object' && reason !== null ? [{ kind, value: name, reason }] : [],
      );
      return [...observations, ...objects].slice(0, limit);
    },
  };
}

export function writeVerdicts(tables: WritableTables): Sync<VerdictWriter> {
  const replace = (of: VerdictRow['of'], journal: string, names: readonly string[], wanted: VerdictRow[]): void => {
    requireJournal(tables, journal);
    const judged = new Set(names);
    drop(tables, (row) => row.journal === journal && row.of === of && judged.has(row.name));
    for (const row of wanted) tables.verdicts.set(keyOfVerdict(row), row);
  };
  return {
    judge(journal, keys, leftOut) {
      const verdicts = leftOut.map(({ feed, key, type, reason }): VerdictRow => {
        return { journal, feed, of: 'observation', name: key, kind: type, reason };
      });
      replace('observation', journal, keys, verdicts);
    },

    judgeObjects(journal, ids, verdicts) {
      const rows = verdicts.map(({ feed, id, kind, reason }): VerdictRow => {
        return { journal, feed, of: 'object', name: id, kind, reason };
      });
      replace('object', journal, ids, rows);
    },

    forgetVerdicts(journal, feeds, limit) {
      const others = matching(tables.verdicts, (row) => row.journal === journal && !feeds.includes(row.feed));
      const forgotten = others.slice(0, requireLimit(limit));
      for (const row of forgotten) tables.verdicts.delete(keyOfVerdict(row));
      return forgotten.length;
    },
  };
}

/** Removes the verdicts on rows that leave the store. */
export function dropVerdicts(
  tables: WritableTables,
  feed: string,
  of: VerdictRow['of'],
  names: readonly string[],
): void {
  if (names.length === 0) return;
  const gone = new Set(names);
  drop(tables, (row) => row.feed === feed && row.of === of && gone.has(row.name));
}

export function dropAllVerdicts(tables: WritableTables, feed: string): void {
  drop(tables, (row) => row.feed === feed);
}

function drop(tables: WritableTables, test: (row: VerdictRow) => boolean): void {
  for (const row of matching(tables.verdicts, test)) tables.verdicts.delete(keyOfVerdict(row));
}

function keyOfVerdict({ journal, feed, of, name }: VerdictRow): string {
  return keyOf(journal, feed, of, name);
}

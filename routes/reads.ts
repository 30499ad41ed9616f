import type { CollectionDefinition } from '../src/model/definition.ts';

/** Reads of collections since the start: requests that would have gone upstream. */
export interface ReadCount {
  count(collection: CollectionDefinition): void;
  /** Sum over these collections, by alias. */
  of(aliases: readonly string[]): number;
}

/** `touch` tells the writer of every read, so that an overdue feed is polled again. */
export function countReads(refreshOnRead: (journal: string) => void): ReadCount {
  const counts = new Map<string, number>();
  return {
    count({ alias, journal }) {
      counts.set(alias, (counts.get(alias) ?? 0) + 1);
      refreshOnRead(journal);
    },
    of: (aliases) => aliases.reduce((sum, alias) => sum + (counts.get(alias) ?? 0), 0),
  };
}

import type { CollectionDefinition } from '../src/model/definition.ts';

/** How often readers asked here for what they would have asked upstream, since the start. */
export interface ReadCount {
  note(collection: CollectionDefinition): void;
  /** Over these collections, by alias. */
  of(aliases: readonly string[]): number;
}

/** Every read is told to the writer as well, so that a feed that is overdue is tried again. */
export function countReads(refreshOnRead: (journal: string) => void): ReadCount {
  const counts = new Map<string, number>();
  return {
    note({ alias, journal }) {
      counts.set(alias, (counts.get(alias) ?? 0) + 1);
      refreshOnRead(journal);
    },
    of: (aliases) => aliases.reduce((sum, alias) => sum + (counts.get(alias) ?? 0), 0),
  };
}

import type { CollectionDefinition } from '../src/model/definition.ts';

/** How often readers asked here for what they would have asked upstream, since the start. */
export interface ReadCount {
  note(collection: CollectionDefinition): void;
  /** Over these collections, by alias. */
  of(aliases: readonly string[]): number;
}

export function countReads(): ReadCount {
  const counts = new Map<string, number>();
  return {
    note: ({ alias }) => void counts.set(alias, (counts.get(alias) ?? 0) + 1),
    of: (aliases) => aliases.reduce((sum, alias) => sum + (counts.get(alias) ?? 0), 0),
  };
}

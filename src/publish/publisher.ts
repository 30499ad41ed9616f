import type { FeedDefinition } from '../model/definition.ts';
import { publisherKey } from '../model/publisher.ts';

/** Tells which names stand for one publisher, among a pool's feeds. */
export interface Publishers {
  /** The same key for every name of one publisher. */
  keyOf(name: string): string;
}

/**
 * A feed speaks for the publisher that its title, its own name or its preset names. Feeds that share a name are one publisher, and
 * so is a row of any other feed that names it: what is passed on is not said twice.
 */
export function publishersOf(feeds: Iterable<Pick<FeedDefinition, 'name' | 'title' | 'aliases'>>): Publishers {
  const owner = new Map<string, string>();
  for (const { name, title, aliases } of feeds) {
    const names = [title, name, ...aliases].map(publisherKey);
    const shared = new Set(names.map((each) => owner.get(each)));
    const key = names[0] as string;
    // A feed whose title is one feed's name and whose name is another's makes all of them one.
    for (const [each, before] of owner) if (shared.has(before)) owner.set(each, key);
    for (const each of names) owner.set(each, key);
  }
  return {
    keyOf(name) {
      const key = publisherKey(name);
      return owner.get(key) ?? key;
    },
  };
}

import type { FeedDefinition } from '../model/definition.ts';
import { publisherKey } from '../model/publisher.ts';

/** Tells which names stand for one publisher, among a pool's feeds, and who passes on what another publishes. */
export interface Publishers {
  /** The same key for every name of one publisher. */
  keyOf(name: string): string;
  /** How many of the publishers with these names count as independent. */
  countOf(names: Iterable<string>): number;
  /** For each publisher with one of these names, by its key: null where it counts, else the publisher that it may have copied. */
  standingsOf(names: Iterable<string>): ReadonlyMap<string, string | null>;
}

export type PublishingFeed = Pick<FeedDefinition, 'name' | 'title' | 'aliases' | 'republishes'>;

/**
 * A feed speaks for the publisher that its title, its own name or its preset names. Feeds that share a name are one publisher, and
 * so is a row of any other feed that names it: what is passed on is not said twice.
 *
 * What a publisher `republishes` it may have copied. It is not counted beside anyone that it republishes, be it through others; where
 * none of these says it as well, it counts by itself. Publishers that republish each other count once.
 */
export function publishersOf(feeds: Iterable<PublishingFeed>): Publishers {
  const all = [...feeds];
  const owner = new Map<string, string>();
  for (const { name, title, aliases } of all) {
    const key = publisherKey(title);
    const names = [key, ...[name, ...aliases].map(publisherKey)];
    const shared = new Set(names.map((each) => owner.get(each)));
    // A feed whose title is one feed's name and whose name is another's makes all of them one.
    for (const [each, before] of owner) if (shared.has(before)) owner.set(each, key);
    for (const each of names) owner.set(each, key);
  }
  const keyOf = (name: string): string => {
    const key = publisherKey(name);
    return owner.get(key) ?? key;
  };
  const origins = originsOf(all, keyOf);
  const independentOf = (keys: readonly string[]): string[] =>
    keys.filter((key, i) => !keys.some((other, j) => isCopy(origins, key, other, i > j)));
  return {
    keyOf,
    countOf(names) {
      const keys = [...new Set(Array.from(names, keyOf))];
      if (origins.size === 0 || keys.length === 1) return keys.length;
      return independentOf(keys).length;
    },
    standingsOf(names) {
      const keys = [...new Set(Array.from(names, keyOf))];
      const independent = independentOf(keys);
      const originOf = (key: string) => independent.find((other) => isCopy(origins, key, other, true)) ?? null;
      return new Map(keys.map((key) => [key, independent.includes(key) ? null : originOf(key)]));
    },
  };
}

type Origins = ReadonlyMap<string, ReadonlySet<string>>;

/** Whose words each publisher passes on, itself or through others, by their keys. */
function originsOf(feeds: readonly PublishingFeed[], keyOf: Publishers['keyOf']): Origins {
  const direct = new Map<string, Set<string>>();
  for (const { title, republishes = [] } of feeds) {
    if (republishes.length === 0) continue;
    const key = keyOf(title);
    direct.set(key, new Set([...(direct.get(key) ?? []), ...republishes.map(keyOf)]));
  }
  const reached = (key: string): Set<string> => {
    const found = new Set(direct.get(key));
    // A set is walked over what is added on the way.
    for (const each of found) for (const next of direct.get(each) ?? []) found.add(next);
    return found;
  };
  return new Map([...direct.keys()].map((key) => [key, reached(key)]));
}

/** `isLater`: of two that republish each other, the later one is the copy. */
function isCopy(origins: Origins, key: string, other: string, isLater: boolean): boolean {
  if (key === other || origins.get(key)?.has(other) !== true) return false;
  return isLater || origins.get(other)?.has(key) !== true;
}

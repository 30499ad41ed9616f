/**
 * Publishers are known by names that everybody spells in his own way: "URLhaus" to itself, "urlhaus" or "URL haus" to those who
 * pass its rows on.
 */

/** Feeds name few publishers, and normalising costs more than a look-up. */
const known = new Map<string, string>();
const MOST_KNOWN = 2000;

/** The name as names are compared: NFKC (UAX #15), without case, spaces and punctuation. */
export function publisherKey(name: string): string {
  let key = known.get(name);
  if (key === undefined) {
    const plain = name.normalize('NFKC').toLowerCase();
    // A name of nothing but punctuation is still a name.
    key = plain.replace(/[^\p{L}\p{M}\p{N}]+/gu, '') || plain;
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(name, key);
  }
  return key;
}

/** One name for each publisher, as it is spelt first. */
export function differentPublishers(names: Iterable<string>): string[] {
  const byKey = new Map<string, string>();
  for (const name of names) {
    const key = publisherKey(name);
    if (!byKey.has(key)) byKey.set(key, name);
  }
  return [...byKey.values()];
}

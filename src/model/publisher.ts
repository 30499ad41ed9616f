/** Publishers are compared by a key of their names, because feeds spell them differently: "URLhaus", "urlhaus", "URL haus". */

/** Keys by name. Feeds name few publishers, and normalising costs more than a look-up. */
const known = new Map<string, string>();
const MOST_KNOWN = 2000;

/** The name in NFKC (UAX #15), in lower case, without spaces and punctuation. */
export function publisherKey(name: string): string {
  let key = known.get(name);
  if (key === undefined) {
    const plain = name.normalize('NFKC').toLowerCase();
    // A name of punctuation only is kept as it is.
    key = plain.replace(/[^\p{L}\p{M}\p{N}]+/gu, '') || plain;
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(name, key);
  }
  return key;
}

/** One name per publisher, in its first spelling. */
export function differentPublishers(names: Iterable<string>): string[] {
  const byKey = new Map<string, string>();
  for (const name of names) {
    const key = publisherKey(name);
    if (!byKey.has(key)) byKey.set(key, name);
  }
  return [...byKey.values()];
}

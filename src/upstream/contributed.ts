import type { FeedContributed } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import { contributedJournal } from '../model/definition.ts';
import { lastVersions } from '../model/entry-filter.ts';
import type { Json } from '../model/json.ts';
import type { Reader } from '../store/store.ts';

export interface ContributedSource {
  contributed: FeedContributed;
  isUnchanged(): boolean;
  /** Stands for what the collection holds; null until it was asked for. */
  fingerprint(): string | null;
}

/** Objects read at once: each may have a megabyte. */
const SLICE = 100;

/** Contributed collections for one poll. `contributed` returns null when the fingerprint of the collection is `known`. */
export function createContributed(store: Pick<Reader, 'page' | 'validity'>, known: string | null): ContributedSource {
  let fingerprint: string | null = null;
  return {
    isUnchanged: () => fingerprint !== null && fingerprint === known,
    fingerprint: () => fingerprint,
    async contributed(collection) {
      const journal = contributedJournal(collection);
      // Before it is read: what is added meanwhile makes another one, and is read at the next poll.
      const { head, changes } = await store.validity(journal, 0, null);
      fingerprint = `${head}-${changes}`;
      return fingerprint === known ? null : lastObjects(store, journal);
    },
  };
}

/** The last version of each object. One that changes meanwhile moves to the end and comes there, perhaps a second time. */
async function* lastObjects(
  store: Pick<Reader, 'page'>,
  journal: string,
): AsyncGenerator<{ object: Json; bytes: number }[]> {
  const filter = lastVersions(journal);
  for (let after: Micros | null = 0; after !== null; ) {
    const { entries, more }: Awaited<ReturnType<Reader['page']>> = await store.page({ ...filter, after, limit: SLICE });
    yield entries.flatMap((entry) => {
      if (entry.kind !== 'object' || entry.isProducerObject) return [];
      return [{ object: JSON.parse(entry.raw) as Json, bytes: entry.raw.length }];
    });
    after = more ? (entries.at(-1)?.dateAdded ?? null) : null;
  }
}

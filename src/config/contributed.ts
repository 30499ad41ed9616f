import { type ContributedDefinition, contributedJournal } from '../model/definition.ts';
import type { FeedKinds, ReadFeed } from './feeds.ts';
import { didYouMean } from './messages.ts';
import type { CollectionSection } from './schema.ts';

/** Keys that mean something where no pool stands behind a collection. */
const ownKeys: ReadonlySet<string> = new Set([
  'contributed',
  'title',
  'description',
  'id',
  'strict',
  'page_size',
  'max_page',
  'tlp',
  'keep_versions',
]);

/**
 * The journal of a collection that clients add to. `refuse` is called for each key that chooses among a pool's indicators, or says how
 * these are issued.
 */
export function defineContributed(
  name: string,
  section: CollectionSection,
  refuse: (key: string, message: string) => void,
): ContributedDefinition {
  for (const [key, value] of Object.entries(section)) {
    if (value !== undefined && !ownKeys.has(key))
      refuse(key, 'has no meaning in a contributed collection, which holds what clients add as they said it');
  }
  return {
    name: contributedJournal(name),
    collection: name,
    tlp: section.tlp ?? 'amber',
    keepVersions: section.keep_versions ?? 'all',
  };
}

/** Calls `refuse` for each feed that reads a collection which clients can't add to. `isRefused`: a collection that is reported already. */
export function checkFeedCollections(
  feeds: readonly ReadFeed[],
  { formats }: FeedKinds,
  contributed: readonly ContributedDefinition[],
  isRefused: (collection: string) => boolean,
  refuse: (feed: string, message: string) => void,
): void {
  const known = contributed.map(({ collection }) => collection);
  for (const { definition, options } of feeds) {
    const name = formats[definition.format]?.contributedBy?.(options);
    if (name === undefined || known.includes(name) || isRefused(name)) continue;
    refuse(definition.name, `names no collection with contributed: true${didYouMean(name, known)}`);
  }
}

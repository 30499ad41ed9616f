import type { ContributedDefinition } from '../model/definition.ts';
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
 * these are issued. The journal's name differs from that of a collection with a policy: what such a one held under the same alias is not
 * what clients said.
 */
export function contributedJournal(
  name: string,
  section: CollectionSection,
  refuse: (key: string, message: string) => void,
): ContributedDefinition {
  for (const [key, value] of Object.entries(section)) {
    if (value !== undefined && !ownKeys.has(key))
      refuse(key, 'has no meaning in a contributed collection, which holds what clients add as they said it');
  }
  return {
    name: `contributed:${name}`,
    collection: name,
    tlp: section.tlp ?? 'amber',
    keepVersions: section.keep_versions ?? 'all',
  };
}

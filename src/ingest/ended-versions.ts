import type { Micros } from '../model/clock.ts';
import type { SourceObject } from '../model/observation.ts';
import { isOlder } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';
import type { FeedPull } from './pull.ts';

/**
 * Versions that no observation tells of: what they ended stays ended, whoever else says the same value. A delta feed's are kept
 * for as long as what it revoked (publish/aged-rows.ts). A snapshot's are kept from one pull to the next, so that an older version
 * which it still holds is known to be one before the newer comes.
 */

/** Beyond it the versions on earlier pages of a pull are not noted. */
const MOST_VERSIONS = 200_000;
/** Removed at once. */
const SLICE = 5000;

/** Notes versions that the pull has said, for its later pages. */
export function noteVersions({ versions }: FeedPull, objects: readonly SourceObject[], now: Micros): void {
  for (const { id, version } of objects) {
    const isNewer = !isOlder(version, versions.get(id) ?? null, now);
    if (isNewer && (versions.has(id) || versions.size < MOST_VERSIONS)) versions.set(id, version);
  }
}

/** Keeps the versions in which objects ended, unless a newer one of the same id is kept. */
export async function rememberEnded(
  tx: Transaction,
  pull: FeedPull,
  ended: readonly SourceObject[],
  now: Micros,
): Promise<void> {
  if (ended.length === 0) return;
  const { feed, versions } = pull;
  const ids = ended.map(({ id }) => id);
  const known = feed.mode === 'delta' ? await tx.endedVersions(feed.name, ids) : versions;
  const newer = ended.filter(({ id, version }) => !isOlder(version, known.get(id) ?? null, now));
  await tx.rememberEnded(feed.name, newer, now);
  if (feed.mode !== 'snapshot') return;
  noteVersions(pull, newer, now);
  pull.endedSince = Math.min(now, pull.endedSince ?? now);
}

/** At the end of a pull of a snapshot: forgets ended versions that it has not said again. */
export async function forgetUnsaid(tx: Transaction, { feed, endedSince }: FeedPull, now: Micros): Promise<void> {
  if (feed.mode !== 'snapshot') return;
  while ((await tx.forgetEnded(feed.name, endedSince ?? now, SLICE)) === SLICE);
}

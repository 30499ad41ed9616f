import type { Micros } from '../model/clock.ts';
import type { SourceObject } from '../model/observation.ts';
import { isOlder } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';
import type { FeedPull } from './pull.ts';

/**
 * The versions in which objects ended, where no observation keeps them, for instance because another object says the same value. With them an older
 * version that comes again is known to be over. Those of a delta feed are kept as long as what it revoked (publish/aged-rows.ts), those
 * of a snapshot from one pull to the next.
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
  const { feed, versions, endedEarlier } = pull;
  const isSnapshot = feed.mode === 'snapshot';
  const remembered = await tx.endedVersions(
    feed.name,
    ended.map(({ id }) => id),
  );
  const known = isSnapshot ? versions : remembered;
  const newer = ended.filter(({ id, version }) => !isOlder(version, known.get(id) ?? null, now));
  // An earlier pull said a newer one, and this one may say it yet: until then older versions must be known as such.
  const isEarlier = ({ id, version }: SourceObject) => isSnapshot && isOlder(version, remembered.get(id) ?? null, now);
  const later = newer.filter((one) => !isEarlier(one));
  for (const { id, version } of newer.filter(isEarlier)) {
    if (endedEarlier.size < MOST_VERSIONS) endedEarlier.set(id, version);
  }
  await tx.rememberEnded(feed.name, later, now);
  if (!isSnapshot) return;
  noteVersions(pull, newer, now);
  if (later.length > 0) pull.endedSince = Math.min(now, pull.endedSince ?? now);
}

/** At the end of a pull of a snapshot: forgets ended versions that it has not said again, for those that it has said. */
export async function forgetUnsaid(tx: Transaction, pull: FeedPull, now: Micros): Promise<void> {
  const { feed, endedSince, versions, endedEarlier } = pull;
  if (feed.mode !== 'snapshot') return;
  while ((await tx.forgetEnded(feed.name, endedSince ?? now, SLICE)) === SLICE);
  const newest = [...endedEarlier].filter(([id, version]) => versions.get(id) === version);
  if (newest.length === 0) return;
  await tx.rememberEnded(
    feed.name,
    newest.map(([id, version]) => ({ id, version })),
    now,
  );
}

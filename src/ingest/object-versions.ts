import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { Observation, StixObject } from '../model/observation.ts';
import { isOlder, sourceObjectsOf, timeOf } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';

/** Versions of objects that pass verbatim (STIX 2.1 section 3.6). */

/** Returns the objects of a batch as they are to be saved: of each the latest version, unless the feed has said a later one. */
export async function newestObjects(
  tx: Transaction,
  feed: FeedDefinition,
  objects: readonly StixObject[],
  now: Micros,
): Promise<StixObject[]> {
  if (objects.length === 0) return [];
  const latest = new Map<string, StixObject>();
  for (const object of objects) {
    const earlier = latest.get(object.id);
    if (earlier === undefined || !isOlder(timeOf(object.version), timeOf(earlier.version), now))
      latest.set(object.id, object);
  }
  // In a later version it is an observation.
  for (const observation of feed.mode === 'delta' ? await tx.saidBy(feed.name, [...latest.keys()]) : []) {
    for (const { id, version } of sourceObjectsOf(observation)) {
      if (isOlder(timeOf(latest.get(id)?.version), version, now)) latest.delete(id);
    }
  }
  if (feed.mode !== 'delta') return [...latest.values()];
  const known = await tx.objectVersions(feed.name, [...latest.keys()]);
  const ended = await tx.endedVersions(feed.name, [...latest.keys()]);
  return [...latest.values()].filter((object) => {
    const version = timeOf(object.version);
    return !isOlder(version, timeOf(known.get(object.id)), now) && !isOlder(version, ended.get(object.id) ?? null, now);
  });
}

/** Takes out objects that passed verbatim and are observations in a later version; returns their ids. */
export async function removeSuperseded(
  tx: Transaction,
  feed: FeedDefinition,
  observations: readonly Observation[],
  now: Micros,
): Promise<string[]> {
  // A snapshot leaves out what it no longer says.
  if (feed.mode !== 'delta') return [];
  const versions = new Map(observations.flatMap((one) => sourceObjectsOf(one)).map(({ id, version }) => [id, version]));
  const known = await tx.objectVersions(feed.name, [...versions.keys()]);
  const gone = [...known].filter(([id, version]) => !isOlder(versions.get(id) ?? null, timeOf(version), now));
  return tx.removeObjects(
    feed.name,
    gone.map(([id]) => id),
  );
}

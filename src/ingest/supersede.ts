import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, SourceObject } from '../model/observation.ts';
import { isOlder, sourceObjectsOf, timeOf, versionOfObject, withoutSourceObjects } from '../stix/source-objects.ts';
import type { Pull, StoredObservation, Transaction } from '../store/store.ts';
import { rememberEnded, rememberSpoken, spokenBy } from './ended-versions.ts';

/**
 * The newest version is the object (STIX 2.1 section 3.6). A feed that says a later version of an id takes back what the id said
 * before on every observable that the later one does not name, whatever that is: another value, a pattern that can't be read.
 * A version that is dated ahead of our clock is not believed to be later than anything: what comes after it replaces it.
 */

/** What a batch says, by upstream object: of each id its newest version, and the observables that this one names. */
export class Batch {
  /** Observations of the newest versions only. */
  readonly statements: Observation[];
  /** Newest versions that say nothing of an observable. */
  readonly ended: SourceObject[];
  /** Made when it is first asked for: nearly all that comes is new, or as it was. */
  #keys: Map<string, ObservableKey[]> | null = null;

  /** `silent`: objects that may have been observations in another version, and are none in this. */
  constructor(said: readonly Observation[], silent: readonly SourceObject[], now: Micros) {
    const newest = new Map<string, Micros | null>();
    const hear = (id: string, version: Micros | null): void => {
      const known = newest.get(id);
      if (known === undefined || !isOlder(version, known, now)) newest.set(id, version);
    };
    for (const { sourceId, version } of said) hear(sourceId as string, version);
    for (const { id, version } of silent) hear(id, version);
    const isEachOnce = silent.length === 0 && newest.size === said.length;
    this.statements = isEachOnce
      ? [...said]
      : said.filter(({ sourceId, version }) => newest.get(sourceId as string) === version);
    const named = new Set(silent.length === 0 ? [] : this.statements.map(({ sourceId }) => sourceId as string));
    this.ended = silent.filter(({ id, version }) => newest.get(id) === version && !named.has(id));
  }

  names(id: string, key: ObservableKey): boolean {
    if (this.#keys === null) {
      this.#keys = new Map();
      for (const { sourceId, key } of this.statements) {
        const keys = this.#keys.get(sourceId as string);
        if (keys === undefined) this.#keys.set(sourceId as string, [key]);
        else keys.push(key);
      }
    }
    return this.#keys.get(id)?.includes(key) === true;
  }
}

export interface Superseded {
  /** What is no older than all that the feed has said by the same ids. */
  current: Observation[];
  /** Of a snapshot: older than what an earlier pull said, and not yet known whether this pull says that again. */
  doubtful: Observation[];
  /** What older versions said on observables that the newer ones do not name, as it is kept now. */
  retracted: Map<ObservableKey, Observation>;
}

/**
 * Holds what a batch says against what the feed has said by the same ids, and takes back what is superseded. A snapshot is what
 * the pull under way says: what was said before counts only once the pull has said it again, and leaves at its end, or as soon as
 * the pull says a newer version.
 */
export async function supersede(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  batch: Batch,
  said: readonly Observation[],
  now: Micros,
): Promise<Superseded> {
  const ids = said.map(({ sourceId }) => sourceId as string);
  const standing = await standingOf(tx, pull, feed, ids);
  const [current, doubtful] = [[] as Observation[], [] as Observation[]];
  const left = new Map<string, Micros | null>();
  const verbatim = feed.mode === 'delta' ? await tx.objectVersions(feed.name, ids) : NO_VERSIONS;
  const ended = await tx.endedVersions(feed.name, ids);
  const before = spokenBy(pull);
  for (const one of said) {
    const id = one.sourceId as string;
    const hasEnded = isOlder(one.version, ended.get(id) ?? null, now);
    if (hasEnded && feed.mode === 'delta') continue;
    if (isOlder(one.version, before.get(id) ?? null, now)) continue;
    const newer = (standing.get(id) ?? []).filter(({ observation }) => {
      return isOlder(one.version, versionOfObject(observation, id) ?? null, now);
    });
    if (newer.some(({ isSaid }) => isSaid) || isOlder(one.version, timeOf(verbatim.get(id)), now)) continue;
    if (newer.length > 0 || hasEnded) doubtful.push(one);
    else {
      current.push(one);
      left.set(id, one.version);
    }
  }
  const revoked = current.filter((one) => one.revoked);
  if (revoked.length > 0) {
    const statements = revoked.map(({ sourceId, version }) => ({ id: sourceId as string, version }));
    await rememberEnded(tx, pull, feed, statements, now);
  }
  return { current, doubtful, retracted: await retract(tx, feed, standing, left, batch, now) };
}

/** The same for versions that say nothing of an observable: what their ids said ends. */
export async function endStatements(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  batch: Batch,
  now: Micros,
): Promise<Map<ObservableKey, Observation>> {
  const versions = new Map(batch.ended.map(({ id, version }) => [id, version]));
  const ids = [...versions.keys()];
  const standing = await standingOf(tx, pull, feed, ids);
  await rememberEnded(tx, pull, feed, await worthRemembering(tx, feed, batch.ended, standing, now), now);
  rememberSpoken(pull, batch.ended, now);
  const retracted = await retract(tx, feed, standing, versions, batch, now);
  // What a snapshot ended stays known as long as it says so: its older versions may stand on the pages before.
  const kept = new Map<ObservableKey, Observation>();
  for (const [id, version] of versions) {
    for (const { observation, isSaid } of standing.get(id) ?? []) {
      if (isSaid || sourceObjectsOf(observation).length > 1) continue;
      const { feed: _, ...known } = observation;
      kept.set(known.key, takenBack(known, { id, version }, now));
    }
  }
  const { changed } = await tx.observe(pull, [...kept.values()]);
  for (const key of changed) retracted.set(key, kept.get(key) as Observation);
  return retracted;
}

/**
 * Of versions that say nothing of an observable, those that nothing else tells of. In a snapshot they matter only beside an older
 * version that says something: the pull has said it, or did so the last time.
 */
async function worthRemembering(
  tx: Transaction,
  feed: FeedDefinition,
  ended: readonly SourceObject[],
  standing: ReadonlyMap<string, readonly Standing[]>,
  now: Micros,
): Promise<SourceObject[]> {
  const ids = ended.map(({ id }) => id);
  if (feed.mode === 'snapshot') {
    const known = await tx.endedVersions(feed.name, ids);
    return ended.filter(({ id }) => known.has(id) || standing.get(id)?.some(({ isSaid }) => isSaid) === true);
  }
  const verbatim = await tx.objectVersions(feed.name, ids);
  return ended.filter(({ id, version }) => !verbatim.has(id) || isOlder(timeOf(verbatim.get(id)), version, now));
}

const NO_VERSIONS: ReadonlyMap<string, string | null> = new Map();

interface Standing {
  observation: StoredObservation;
  /** By the pull under way, or by a delta feed at any time. */
  isSaid: boolean;
}

async function standingOf(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  ids: readonly string[],
): Promise<Map<string, Standing[]>> {
  const found = await tx.saidBy(feed.name, ids);
  const standing = new Map<string, Standing[]>();
  if (found.length === 0) return standing;
  const keys = found.map(({ key }) => key);
  const seen = feed.mode === 'snapshot' ? await tx.seenKeys(pull, keys) : null;
  for (const observation of found) {
    const one = { observation, isSaid: seen === null || seen.has(observation.key) };
    for (const { id } of sourceObjectsOf(observation)) {
      const others = standing.get(id);
      if (others === undefined) standing.set(id, [one]);
      else others.push(one);
    }
  }
  return standing;
}

/** Takes ids, which are now of these versions, out of what they said on observables that the batch does not name by them. */
async function retract(
  tx: Transaction,
  feed: FeedDefinition,
  standing: ReadonlyMap<string, readonly Standing[]>,
  versions: ReadonlyMap<string, Micros | null>,
  batch: Batch,
  now: Micros,
): Promise<Map<ObservableKey, Observation>> {
  const left = new Map<ObservableKey, Observation>();
  for (const [id, version] of versions) {
    for (const { observation, isSaid } of standing.get(id) ?? []) {
      const { key } = observation;
      if (batch.names(id, key)) continue;
      const known = left.get(key) ?? observation;
      const before = versionOfObject(known, id);
      if (before === undefined || isOlder(version, before, now)) continue;
      // Of what a snapshot said the last time an older version is over; any other it may say again.
      if (!isSaid && !isOlder(before, version, now)) continue;
      left.set(key, withoutSourceObjects(known, new Set([id])) ?? takenBack(known, { id, version }, now));
    }
  }
  const amended = new Set(await tx.amend(feed.name, [...left.values()]));
  return new Map([...left].filter(([key]) => amended.has(key)));
}

/** Nobody says it any more. It is kept as what the object has become, so that no older version of it says it again. */
function takenBack(known: Observation, { id, version }: SourceObject, now: Micros): Observation {
  if (known.revoked && known.version === version) return known;
  return { ...known, sourceId: id, version, others: [], revoked: true, reportedAt: now };
}

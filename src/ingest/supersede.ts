import type { Micros } from '../model/clock.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, SourceObject } from '../model/observation.ts';
import {
  isOlder,
  type Statement,
  sourceObjectsOf,
  timeOf,
  versionOfObject,
  withoutSourceObjects,
} from '../stix/source-objects.ts';
import type { StoredObservation, Transaction } from '../store/store.ts';
import type { FeedPull } from './pull.ts';

/**
 * The newest version is the object (STIX 2.1 section 3.6). A feed that says a later version of an id takes back what the id said
 * before on every observable that the later one does not name, whatever that is: another value, a pattern that can't be read.
 * A version that is dated ahead of our clock is not believed to be later than anything: what comes after it replaces it.
 *
 * What is here reads and decides; save.ts writes.
 */

/** What a batch says, by upstream object: of each id its newest version, and the observables that this one names. */
export class BatchVersions {
  /** Observations of the newest versions only. */
  readonly observations: Statement[];
  /** Newest versions that say nothing of an observable. */
  readonly ended: SourceObject[];
  /** Made when it is first asked for: nearly all that comes is new, or as it was. */
  #keys: Map<string, Set<ObservableKey>> | null = null;

  /** `silent`: objects that may have been observations in another version, and are none in this. */
  constructor(observations: readonly Statement[], silent: readonly SourceObject[], now: Micros) {
    const newest = new Map<string, Micros | null>();
    const note = (id: string, version: Micros | null): void => {
      const known = newest.get(id);
      if (known === undefined || !isOlder(version, known, now)) newest.set(id, version);
    };
    for (const { sourceId, version } of observations) note(sourceId, version);
    for (const { id, version } of silent) note(id, version);
    const isEachOnce = silent.length === 0 && newest.size === observations.length;
    this.observations = isEachOnce
      ? [...observations]
      : observations.filter(({ sourceId, version }) => newest.get(sourceId) === version);
    const named = new Set(silent.length === 0 ? [] : this.observations.map(({ sourceId }) => sourceId));
    this.ended = silent.filter(({ id, version }) => newest.get(id) === version && !named.has(id));
  }

  /** Does the newest version of this object name the observable? */
  names(id: string, key: ObservableKey): boolean {
    if (this.#keys === null) {
      this.#keys = new Map();
      for (const { sourceId, key } of this.observations) {
        const keys = this.#keys.get(sourceId);
        if (keys === undefined) this.#keys.set(sourceId, new Set([key]));
        else keys.add(key);
      }
    }
    return this.#keys.get(id)?.has(key) === true;
  }
}

export interface Superseded {
  /** Observations no older than all that the feed has said by the same ids. */
  current: Statement[];
  /** Of a snapshot: older than what an earlier pull said, and not yet known whether this pull says that again. */
  doubtful: Statement[];
  /** What is left on observables that older versions named and the newer ones do not. */
  retracted: Map<ObservableKey, Observation>;
  /** Versions in which objects ended. */
  ended: SourceObject[];
}

/**
 * Compares what a batch says with what the feed has said by the same ids, and takes back what is superseded. Of a
 * snapshot only what the pull under way says counts. What an earlier pull said counts once this pull has said it again; otherwise it
 * leaves at the end of the pull, or as soon as the pull says a newer version.
 */
export async function supersede(
  tx: Transaction,
  pull: FeedPull,
  batch: BatchVersions,
  observations: readonly Statement[],
  now: Micros,
): Promise<Superseded> {
  const { name, mode } = pull.feed;
  const ids = observations.map(({ sourceId }) => sourceId);
  const known = await readKnown(tx, pull, ids);
  const verbatim = mode === 'delta' ? await tx.objectVersions(name, ids) : NO_VERSIONS;
  const ended = await tx.endedVersions(name, ids);
  const [current, doubtful] = [[] as Statement[], [] as Statement[]];
  const newVersions = new Map<string, Micros | null>();
  for (const one of observations) {
    const id = one.sourceId;
    const hasEnded = isOlder(one.version, ended.get(id) ?? null, now);
    if (hasEnded && mode === 'delta') continue;
    if (isOlder(one.version, pull.versions.get(id) ?? null, now)) continue;
    const newer = (known.get(id) ?? []).filter(({ observation }) => {
      return isOlder(one.version, versionOfObject(observation, id) ?? null, now);
    });
    if (newer.some(({ isConfirmed }) => isConfirmed) || isOlder(one.version, timeOf(verbatim.get(id)), now)) continue;
    if (newer.length > 0 || hasEnded) doubtful.push(one);
    else {
      current.push(one);
      newVersions.set(id, one.version);
    }
  }
  const revoked = current.filter((one) => one.revoked);
  return {
    current,
    doubtful,
    retracted: retract(known, newVersions, batch, now),
    ended: revoked.map(({ sourceId, version }) => ({ id: sourceId, version })),
  };
}

/** What ends because the newest version of its object no longer says anything of an observable. */
export interface EndedObjects extends Pick<Superseded, 'retracted' | 'ended'> {
  /** Of a snapshot: what stays known as ended for as long as the snapshot says so, since its older versions may come again. */
  known: Map<ObservableKey, Observation>;
}

export async function endObjects(
  tx: Transaction,
  pull: FeedPull,
  batch: BatchVersions,
  now: Micros,
): Promise<EndedObjects> {
  const versions = new Map(batch.ended.map(({ id, version }) => [id, version]));
  const before = await readKnown(tx, pull, [...versions.keys()]);
  const known = new Map<ObservableKey, Observation>();
  for (const [id, version] of versions) {
    for (const { observation, isConfirmed } of before.get(id) ?? []) {
      if (isConfirmed || sourceObjectsOf(observation).length > 1) continue;
      // An older version says nothing about it: the pull may say the newer one again, else the observation vanishes with its end.
      if (isOlder(version, versionOfObject(observation, id) ?? null, now)) continue;
      const { feed: _, ...one } = observation;
      known.set(one.key, revokedAs(one, { id, version }, now));
    }
  }
  return {
    known,
    ended: await endedAlone(tx, pull, batch.ended, before, now),
    retracted: retract(before, versions, batch, now),
  };
}

/**
 * Returns the ended versions that must be remembered (ended-versions.ts), because no observation or object keeps them. In a snapshot they
 * matter only where it also holds an older version of the object, in this pull or in the last one.
 */
async function endedAlone(
  tx: Transaction,
  { feed: { name, mode }, versions }: FeedPull,
  ended: readonly SourceObject[],
  known: Known,
  now: Micros,
): Promise<SourceObject[]> {
  const ids = ended.map(({ id }) => id);
  if (mode === 'snapshot') {
    const before = await tx.endedVersions(name, ids);
    const isSaid = ({ id }: SourceObject) =>
      versions.has(id) || known.get(id)?.some(({ isConfirmed }) => isConfirmed) === true;
    return ended.filter((object) => before.has(object.id) || isSaid(object));
  }
  const verbatim = await tx.objectVersions(name, ids);
  return ended.filter(({ id, version }) => !verbatim.has(id) || isOlder(timeOf(verbatim.get(id)), version, now));
}

const NO_VERSIONS: ReadonlyMap<string, string | null> = new Map();

/** What the store holds of a feed's objects, by id. */
type Known = ReadonlyMap<string, readonly KnownObservation[]>;

interface KnownObservation {
  observation: StoredObservation;
  /** The pull under way has said it; of a delta feed any pull has. */
  isConfirmed: boolean;
}

async function readKnown(tx: Transaction, { feed, mark }: FeedPull, ids: readonly string[]): Promise<Known> {
  const found = await tx.saidBy(feed.name, ids);
  const known = new Map<string, KnownObservation[]>();
  if (found.length === 0) return known;
  const keys = found.map(({ key }) => key);
  const seen = feed.mode === 'snapshot' ? await tx.seenKeys(mark, keys) : null;
  for (const observation of found) {
    const one = { observation, isConfirmed: seen === null || seen.has(observation.key) };
    for (const { id } of sourceObjectsOf(observation)) {
      const others = known.get(id);
      if (others === undefined) known.set(id, [one]);
      else others.push(one);
    }
  }
  return known;
}

/** Takes ids, which are now of these versions, out of what they said on observables that the batch does not name by them. */
function retract(
  known: Known,
  versions: ReadonlyMap<string, Micros | null>,
  batch: BatchVersions,
  now: Micros,
): Map<ObservableKey, Observation> {
  const retracted = new Map<ObservableKey, Observation>();
  for (const [id, version] of versions) {
    for (const { observation, isConfirmed } of known.get(id) ?? []) {
      const { key } = observation;
      if (batch.names(id, key)) continue;
      const one = retracted.get(key) ?? observation;
      const before = versionOfObject(one, id);
      if (before === undefined || isOlder(version, before, now)) continue;
      // Of what a snapshot said the last time an older version is over; any other it may say again.
      if (!isConfirmed && !isOlder(before, version, now)) continue;
      retracted.set(key, withoutSourceObjects(one, new Set([id])) ?? revokedAs(one, { id, version }, now));
    }
  }
  return retracted;
}

/** The observation as revoked by this version of its object. It is kept, so that an older version of the object can't bring it back. */
function revokedAs(known: Observation, { id, version }: SourceObject, now: Micros): Observation {
  if (known.revoked && known.version === version) return known;
  return { ...known, sourceId: id, version, others: [], revoked: true, reportedAt: now };
}

import type { Micros } from '../model/clock.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import { type Changes, changesOf } from '../publish/changes.ts';
import { isStatement, type Statement } from '../stix/source-objects.ts';
import type { Transaction } from '../store/store.ts';
import type { Rows } from './batch.ts';
import { combineRows } from './combine.ts';
import { noteVersions, rememberEnded } from './ended-versions.ts';
import { bearersOf, isMarking, noteMarkings } from './markings.ts';
import { newestObjects, removeSuperseded } from './object-versions.ts';
import type { FeedPull } from './pull.ts';
import { combineVersions, releaseHeld } from './stix-versions.ts';
import { BatchVersions, endObjects, supersede } from './supersede.ts';

/**
 * Saves what the rows of a batch say. Every pass hands its result to the next: rows on one observable become one (combine.ts), a
 * newer version of an object takes back what older ones said (supersede.ts), objects on one observable stand beside each other
 * (stix-versions.ts). What comes out is written here.
 */

/** Observables saved, and then published, before the next: what they need on the way stays young garbage. */
const SAVED_AT_ONCE = 250;

type Observations = ReadonlyMap<ObservableKey, Observation>;

/**
 * Saves a batch and yields what changed, slice by slice, so that it is published before more is saved. `isLast`: the pull was read
 * whole with it.
 */
export async function* saveRows(
  tx: Transaction,
  pull: FeedPull,
  rows: Rows,
  isLast: boolean,
  now: Micros,
): AsyncGenerator<Changes> {
  const { feed, mark } = pull;
  const { plain, statements } = separate(rows.observations);
  const objects = rows.objects.length === 0 ? [] : await newestObjects(tx, feed, rows.objects, now);
  const ids = objects.length === 0 ? [] : (await tx.observeObjects(mark, objects)).map(({ id }) => id);
  // Before anything is published: the markings of observations may be explained by definitions behind them.
  if (objects.length > 0 || statements.length > 0) noteMarkings(pull, rows.observations, objects);
  const versions =
    statements.length === 0 && rows.silent.length === 0 ? null : new BatchVersions(statements, rows.silent, now);
  const withVersions = new Set(versions?.observations.map(({ key }) => key));
  const combined = combineRows(plain, feed);
  const alone = [...combined.values()].filter(({ key }) => !withVersions.has(key));
  for (const slice of slices(alone)) yield changesOf(feed.name, await write(tx, pull, mapOf(slice), NONE));
  for await (const observations of versions === null ? [] : saveVersionsOf(tx, pull, versions, combined, now)) {
    yield changesOf(feed.name, observations);
  }
  if (isLast) {
    for await (const observations of saveHeldBack(tx, pull, now)) yield changesOf(feed.name, observations);
  }
  if (statements.length > 0) ids.push(...(await removeSuperseded(tx, feed, statements, now)));
  if (ids.length === 0) return;
  yield { keys: [], objects: ids };
  yield* bearersOf(tx, feed, ids.filter(isMarking));
}

/** Saves what STIX objects say, beside what rows say on the same observables. Yields observations that changed, as they are kept now. */
async function* saveVersionsOf(
  tx: Transaction,
  pull: FeedPull,
  batch: BatchVersions,
  combined: Observations,
  now: Micros,
): AsyncGenerator<Observations> {
  const byKey = new Map<ObservableKey, Statement[]>();
  for (const one of batch.observations) if (!byKey.get(one.key)?.push(one)) byKey.set(one.key, [one]);
  for (const slice of slices([...byKey.values()])) {
    const { versions, retracted } = await saveVersions(tx, pull, batch, slice, now);
    const beside = slice.flatMap(([first]) => combined.get(first?.key ?? '') ?? []);
    const all = beside.length === 0 ? versions : combineRows([...beside, ...versions.values()], pull.feed);
    const written = await write(tx, pull, all, versions);
    yield new Map([...written, ...[...retracted].filter(([key]) => !written.has(key))]);
  }
  if (batch.ended.length > 0) yield saveEnded(tx, pull, batch, now);
}

/** Saves, at the end of a pull, the observations that waited for other objects on the same observables. */
async function* saveHeldBack(tx: Transaction, pull: FeedPull, now: Micros): AsyncGenerator<Observations> {
  for (const slice of slices(await releaseHeld(tx, pull, now))) yield write(tx, pull, mapOf(slice), mapOf(slice));
}

/** Rows say what they say once; statements are made by STIX objects, which come in versions. */
function separate(observations: readonly Observation[]): { plain: Observation[]; statements: Statement[] } {
  const plain: Observation[] = [];
  const statements: Statement[] = [];
  for (const one of observations) {
    if (isStatement(one)) statements.push(one);
    else plain.push(one);
  }
  return { plain, statements };
}

/** Takes back what is superseded. `retracted`: what is kept there now. `versions`: what the objects say together; the caller writes it. */
async function saveVersions(
  tx: Transaction,
  pull: FeedPull,
  batch: BatchVersions,
  groups: readonly (readonly Statement[])[],
  now: Micros,
): Promise<{ versions: Observations; retracted: Observations }> {
  // Nearly every group is one observation that is new or unchanged: it is combined with nothing.
  const isSingle = (group: readonly Statement[]) => group.length === 1 && !pull.heldBack.has(group[0]?.key ?? '');
  const { fresh, different } = await tx.confirm(pull.mark, groups.filter(isSingle).flat());
  const several = groups.filter((group) => !isSingle(group));
  const said = [...fresh, ...several.flat(), ...different];
  if (said.length === 0) return { versions: NONE, retracted: NONE };
  const superseded = await supersede(tx, pull, batch, said, now);
  await rememberEnded(tx, pull, superseded.ended, now);
  const retracted = await amend(tx, pull, superseded.retracted);
  const open = [...several, ...different.map((one) => [one])];
  const { observations, ended } = await combineVersions(tx, pull, fresh, open, superseded, now);
  await rememberEnded(tx, pull, ended, now);
  return { versions: observations, retracted };
}

/** Saves what follows from objects that say nothing of an observable any more; returns the observations that changed. */
async function saveEnded(tx: Transaction, pull: FeedPull, batch: BatchVersions, now: Micros): Promise<Observations> {
  const { ended, retracted, known } = await endObjects(tx, pull, batch, now);
  await rememberEnded(tx, pull, ended, now);
  noteVersions(pull, batch.ended, now);
  const amended = await amend(tx, pull, retracted);
  const { changed } = await tx.observe(pull.mark, [...known.values()]);
  return new Map([...amended, ...only(known, changed)]);
}

/**
 * Writes observations; returns those that changed. `versions`: those that are combined already with what this pull said before. All
 * others are combined with it here.
 */
async function write(
  tx: Transaction,
  pull: FeedPull,
  observations: Observations,
  versions: Observations,
): Promise<Observations> {
  const { feed, mark } = pull;
  const { changed, again } = await tx.observe(mark, [...observations.values()]);
  const written = new Map(only(observations, changed));
  if (again.length > 0) {
    const repeated = again.filter((key) => !versions.has(key));
    const earlier = (await tx.observations([feed.name], repeated)).map(({ feed: _, ...one }) => one);
    const both = combineRows([...earlier, ...repeated.flatMap((key) => observations.get(key) ?? [])], feed);
    for (const [key, one] of await amend(tx, pull, new Map([...only(versions, again), ...both]))) written.set(key, one);
  }
  if (versions.size === 0) return written;
  // An observation that was amended before must be written again, even if it equals the row that came first.
  const rest = new Map([...observations].filter(([key]) => versions.has(key) && !written.has(key)));
  for (const [key, one] of await amend(tx, pull, rest)) written.set(key, one);
  return written;
}

/** Writes over what was observed; returns the observations that changed. */
async function amend(tx: Transaction, { feed }: FeedPull, observations: Observations): Promise<Observations> {
  if (observations.size === 0) return NONE;
  return new Map(only(observations, await tx.amend(feed.name, [...observations.values()])));
}

function* only(observations: Observations, keys: readonly ObservableKey[]): Generator<[ObservableKey, Observation]> {
  for (const key of keys) {
    const one = observations.get(key);
    if (one !== undefined) yield [key, one];
  }
}

const NONE: Observations = new Map();

function mapOf(observations: readonly Observation[]): Observations {
  return new Map(observations.map((one) => [one.key, one]));
}

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += SAVED_AT_ONCE) yield all.slice(start, start + SAVED_AT_ONCE);
}

import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, SourceObject } from '../model/observation.ts';
import { type Changes, changesOf } from '../publish/changes.ts';
import { sourceObjectId } from '../stix/source-objects.ts';
import type { Pull, Transaction } from '../store/store.ts';
import type { Rows } from './batch-rows.ts';
import { combineRows } from './combine.ts';
import { forgetUnsaid } from './ended-versions.ts';
import { bearersOf, isMarking, noteMarkings } from './markings.ts';
import { endObjects, settleObjects, settleStatements, takeHeld } from './stix-versions.ts';
import { Batch, endStatements } from './supersede.ts';

/** Observables whose news are kept, merged and journalled before the next: what they need on the way stays young garbage. */
const HEARD_AT_ONCE = 250;

type News = Map<ObservableKey, Observation>;
const NOTHING: ReadonlyMap<ObservableKey, Observation> = new Map();

/**
 * Saves what the rows of a batch say and yields what changed, slice by slice, so that it is published before more is saved.
 * `isLast`: it is the last of a pull that was read whole.
 */
export async function* saveRows(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  rows: Rows,
  isLast: boolean,
  now: Micros,
): AsyncGenerator<Changes> {
  const objects = await settleObjects(tx, feed, rows.objects, now);
  // Before anything is published: the markings of observations may be explained by definitions behind them.
  const changed = await tx.observeObjects(pull, objects);
  noteMarkings(pull, rows.observations, objects);
  for await (const news of observe(tx, feed, pull, rows.observations, rows.silent, isLast, now)) {
    yield changesOf(feed.name, news);
  }
  const ended = await endObjects(tx, feed, rows.observations, now);
  const ids = [...changed.map(({ id }) => id), ...ended];
  yield { keys: [], objects: ids };
  yield* bearersOf(tx, feed, ids.filter(isMarking));
}

/**
 * Keeps what a batch says, beside what earlier batches of this pull said; gives what the journals must hear of, bit by bit.
 * `silent`: objects that may have been observations in an earlier version, and are none in this.
 */
async function* observe(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  observations: readonly Observation[],
  silent: readonly SourceObject[],
  isLast: boolean,
  at: Micros,
): AsyncGenerator<News> {
  const [rows, said] = [[] as Observation[], [] as Observation[]];
  for (const observation of observations) (sourceObjectId(observation) === null ? rows : said).push(observation);
  const batch = new Batch(said, silent, at);
  const statements = new Map<ObservableKey, Observation[]>();
  for (const one of batch.statements) {
    const { key } = one;
    if (!statements.get(key)?.push(one)) statements.set(key, [one]);
  }
  const combined = combineRows(rows, feed);
  const alone = statements.size === 0 ? combined : without(combined, statements);
  for (const slice of slices([...alone.values()])) yield keep(tx, feed, pull, slice, combined, NOTHING);
  for (const slice of slices([...statements])) {
    const { statements: settled, retracted } = await settleStatements(tx, pull, feed, batch, new Map(slice), at);
    const beside = slice.flatMap(([key]) => combined.get(key) ?? []);
    const said = beside.length === 0 ? settled : combineRows([...beside, ...settled.values()], feed);
    const news = await keep(tx, feed, pull, [...said.values()], said, settled);
    for (const [key, observation] of retracted) if (!news.has(key)) news.set(key, observation);
    yield news;
  }
  if (batch.ended.length > 0) yield endStatements(tx, pull, feed, batch, at);
  if (!isLast) return;
  for (const held of slices(await takeHeld(tx, pull, feed, at))) {
    const said = new Map(held.map((observation) => [observation.key, observation]));
    yield keep(tx, feed, pull, held, said, said);
  }
  await forgetUnsaid(tx, pull, feed, at);
}

/** `said` and `settled` may hold more than what is kept now. */
async function keep(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  observations: readonly Observation[],
  said: ReadonlyMap<ObservableKey, Observation>,
  settled: ReadonlyMap<ObservableKey, Observation>,
): Promise<News> {
  const { changed, again } = await tx.observe(pull, observations);
  const news = new Map(changed.map((key) => [key, said.get(key) as Observation]));
  if (again.length > 0) {
    for (const observation of await amend(tx, feed, again, said, settled)) news.set(observation.key, observation);
  }
  // Amended when more was said: what is left of it must be written even if that is what came first.
  const rest = observations.filter(({ key }) => settled.has(key) && !news.has(key));
  for (const key of rest.length === 0 ? [] : await tx.amend(feed.name, rest)) {
    news.set(key, said.get(key) as Observation);
  }
  return news;
}

/** Rows are combined with what this pull said before; what STIX objects say is settled with that already. */
async function amend(
  tx: Transaction,
  feed: FeedDefinition,
  again: readonly ObservableKey[],
  said: ReadonlyMap<ObservableKey, Observation>,
  settled: ReadonlyMap<ObservableKey, Observation>,
): Promise<Observation[]> {
  const final = again.flatMap((key) => settled.get(key) ?? []);
  const repeated = again.filter((key) => !settled.has(key));
  const earlier = await tx.observations([feed.name], repeated);
  const both = combineRows(
    earlier.flatMap(({ feed: _, ...observation }) => [observation, said.get(observation.key) as Observation]),
    feed,
  );
  const amended = [...final, ...both.values()];
  const changed = new Set(await tx.amend(feed.name, amended));
  return amended.filter(({ key }) => changed.has(key));
}

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += HEARD_AT_ONCE) yield all.slice(start, start + HEARD_AT_ONCE);
}

function without(all: News, others: ReadonlyMap<ObservableKey, unknown>): News {
  return new Map([...all].filter(([key]) => !others.has(key)));
}

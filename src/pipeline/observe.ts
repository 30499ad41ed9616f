import type { FeedDefinition } from '../model/definition.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import type { Pull, Transaction } from '../store/store.ts';
import { combineRows } from './combine.ts';
import { settleStatements, statementOf, takeHeld } from './versions.ts';

/** Observables whose news are kept, merged and journalled before the next: what they need on the way stays young garbage. */
const HEARD_AT_ONCE = 250;

type News = Map<ObservableKey, Observation>;
const NOTHING: ReadonlyMap<ObservableKey, Observation> = new Map();

/** Keeps what a batch says, beside what earlier batches of this pull said; gives what the journals must hear of, bit by bit. */
export async function* observe(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  observations: readonly Observation[],
  isLast: boolean,
): AsyncGenerator<News> {
  const [rows, statements] = [[] as Observation[], new Map<ObservableKey, Observation[]>()];
  for (const observation of observations) {
    if (statementOf(observation) === null) rows.push(observation);
    else if (!statements.get(observation.key)?.push(observation)) statements.set(observation.key, [observation]);
  }
  const combined = combineRows(rows, feed);
  const alone = statements.size === 0 ? combined : without(combined, statements);
  for (const slice of slices([...alone.values()])) yield keep(tx, feed, pull, slice, combined, NOTHING);
  for (const slice of slices([...statements])) {
    const settled = await settleStatements(tx, pull, feed, new Map(slice));
    const beside = slice.flatMap(([key]) => combined.get(key) ?? []);
    const said = beside.length === 0 ? settled : combineRows([...beside, ...settled.values()], feed);
    yield keep(tx, feed, pull, [...said.values()], said, settled);
  }
  if (!isLast) return;
  for (const held of slices(takeHeld(pull))) {
    const said = new Map(held.map((observation) => [observation.key, observation]));
    const news = await keep(tx, feed, pull, held, said, said);
    // Amended when more was said: what is left of it must be written even if that is what came first.
    const rest = held.filter(({ key }) => !news.has(key));
    for (const key of await tx.amend(feed.name, rest)) news.set(key, said.get(key) as Observation);
    yield news;
  }
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

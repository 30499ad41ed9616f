import { type Clock, MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import type { DeliveredCollection } from '../model/definition.ts';
import type { Entry } from '../model/entry.ts';
import type { DeadLetter } from '../model/state.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Writer } from '../store/store.ts';
import {
  aliasesIn,
  filterOf,
  findCheckpoint,
  forgetAlias,
  forgetOtherScopes,
  markBegun,
  saveCheckpoint,
  scopeOf,
} from './checkpoint.ts';
import { type PushOptions, pushEntries } from './push.ts';

export interface DeliverParts {
  clock: Clock;
  store: Writer;
  /** The sink's name in the configuration. */
  name: string;
  sink: Sink;
  collection: DeliveredCollection;
  /** Milliseconds a withdrawal stands in the collection's journal. */
  keep: number;
  signal: AbortSignal;
  /** Entries read and pushed at a time. */
  page?: number;
  /** Told now and then: entries looked at so far, of about how many. */
  progress?(done: number, total: number): void;
}

/** About one bulk request, so that what is held grows with neither the collection nor the documents in it. */
const PAGE = 1000;
/** Letters, and ids asked for, at a time. */
const BATCH = 5000;
/** A checkpoint without news is renewed this often, so that its age says how long the sink was away. */
const CHECKPOINT_AGE = 60 * MICROS_PER_SECOND;
/** Time between two looks for documents that have to be renewed. */
const LOOK_AGAIN = MICROS_PER_DAY;

/**
 * Brings a sink up to all that a collection says, from its checkpoint on. At least once, and doing it again changes nothing. A
 * sink that is new to the collection, or that was away for longer than withdrawals are told, is rebuilt.
 * Throws as `Sink.push`; what was delivered by then stays delivered.
 */
export async function deliver(parts: DeliverParts): Promise<DeliveryReport> {
  const { clock, store, keep } = parts;
  const checkpoint = await findCheckpoint(store, parts);
  if (checkpoint === null || clock.now() - checkpoint.updatedAt > keep * MICROS_PER_MS) return rebuild(parts);
  const report = nothing();
  await pushPages(parts, pagesOf(parts, checkpoint.dateAdded), report, {}, async ({ until, more }) => {
    const isNews = until > checkpoint.dateAdded || clock.now() - checkpoint.updatedAt > CHECKPOINT_AGE;
    // Its age is that of the last time nothing was missing: on a long way back, withdrawals may leave before they are told.
    const updatedAt = more ? checkpoint.updatedAt : clock.now();
    const { renewedAt } = checkpoint;
    if (isNews) await store.transaction((tx) => saveCheckpoint(tx, parts, { dateAdded: until, updatedAt, renewedAt }));
  });
  const sinceRenewed = clock.now() - checkpoint.renewedAt;
  // Also where the clock was set back: a date ahead of it must not put renewals off.
  if (sinceRenewed >= LOOK_AGAIN || sinceRenewed < 0) await renew(parts, checkpoint.renewedAt, report);
  return report;
}

/**
 * Writes live entries again whose documents would grow too old for their readers. A walk that is cut begins anew with the next
 * delivery; what it wrote by then is written once more, which changes nothing.
 */
async function renew(parts: DeliverParts, since: Micros, report: DeliveryReport): Promise<void> {
  const { clock, store, sink, collection } = parts;
  const now = clock.now();
  if (sink.needsRenewal !== null) {
    const head = (await store.newest(filterOf(collection))) ?? 0;
    const isTold = (entry: Entry): boolean =>
      entry.kind === 'indicator' && !entry.revoked && sink.needsRenewal?.(entry, since, now) === true;
    await pushPages(parts, pagesOf(parts, 0, { head, isTold }), report, { anew: true }, async () => undefined);
  }
  await store.transaction(async (tx) => {
    const checkpoint = await findCheckpoint(tx, parts);
    if (checkpoint !== null) await saveCheckpoint(tx, parts, { ...checkpoint, renewedAt: now });
  });
}

/**
 * Gives a sink the live set anew, then takes out what it holds besides. What is told meanwhile follows by the checkpoint,
 * which is set only at the end: a rebuild that is cut begins anew.
 */
export async function rebuild(parts: DeliverParts): Promise<DeliveryReport> {
  const { clock, store, sink, collection, signal, progress } = parts;
  const begun = clock.now();
  const isFirst = await store.transaction((tx) => markBegun(tx, parts));
  // To an empty index that nothing was ever sent to, only what lives now will have been given.
  const isClean = isFirst && sink.holds === 'live' && (await sink.isEmpty(collection, signal));
  const head = (await store.newest(filterOf(collection))) ?? 0;
  const total = Object.entries(await store.countLive(collection.journal))
    .filter(([type]) => collection.types?.includes(type as never) ?? true)
    .reduce((sum, [, count]) => sum + (count ?? 0), 0);
  const report = nothing();
  let done = 0;
  // What keeps versions must hear of withdrawals as well: it may hold what they end.
  const isTold = (entry: Entry): boolean => !(entry.kind === 'indicator' && entry.revoked && sink.holds === 'live');
  await pushPages(parts, pagesOf(parts, 0, { head, isTold }), report, { anew: true }, async ({ entries }) => {
    done += entries.length;
    progress?.(done, Math.max(done, total));
  });
  const isLive = async (objectIds: readonly string[]): Promise<ReadonlySet<string>> => liveAmong(parts, objectIds);
  if (!isClean) report.swept = await sink.sweep(collection, isLive, signal);
  // All was said again: what was refused before and wasn't now is well.
  await dropLetters(parts, ({ scope, at }) => scope === scopeOf(collection) && at < begun);
  await store.transaction(async (tx) => {
    // Not beyond the head that was seen: of what came later, only a part was read.
    await saveCheckpoint(tx, parts, { dateAdded: head, updatedAt: clock.now(), renewedAt: begun });
    await forgetOtherScopes(tx, parts);
  });
  return report;
}

interface Page {
  entries: Entry[];
  /** Date of the last entry that was read for it. */
  until: Micros;
  more: boolean;
}

/** What stands behind a date, page by page; up to `head` and only what `isTold`, if given. */
async function* pagesOf(
  { store, collection, signal, page: limit = PAGE }: DeliverParts,
  after: Micros,
  { head = Number.POSITIVE_INFINITY, isTold = (_: Entry): boolean => true } = {},
): AsyncGenerator<Page> {
  let until = after;
  for (let more = true; more; ) {
    signal.throwIfAborted();
    const page = await store.page({ ...filterOf(collection), after: until, limit });
    until = page.entries.at(-1)?.dateAdded ?? until;
    more = page.more && until < head;
    yield { entries: page.entries.filter((entry) => entry.dateAdded <= head && isTold(entry)), until, more };
  }
}

/** Pages that may have come before the one that is waited for, by those that may be under way. */
const AHEAD = 2;

/** Pushes pages, several at a time where the sink takes that; each is settled in its turn, when all before it are. */
async function pushPages(
  parts: DeliverParts,
  pages: AsyncIterable<Page>,
  report: DeliveryReport,
  options: PushOptions,
  settle: (page: Page) => Promise<void>,
): Promise<void> {
  const { concurrency } = parts.sink;
  const begun: { page: Page; pushed: Promise<unknown>; isUnderWay: boolean }[] = [];
  const settleFirst = async (): Promise<void> => {
    await begun[0]?.pushed;
    const first = begun.shift();
    if (first !== undefined) await settle(first.page);
  };
  try {
    for await (const page of pages) {
      const pushed = pushEntries(parts, page.entries, report, options);
      const one = { page, pushed, isUnderWay: true };
      begun.push(one);
      // A failure is seen to when its turn comes.
      const over = () => {
        one.isUnderWay = false;
      };
      pushed.then(over, over);
      const underWay = begun.filter(({ isUnderWay }) => isUnderWay);
      if (underWay.length >= concurrency) await Promise.race(underWay.map((each) => each.pushed));
      while (begun[0]?.isUnderWay === false || begun.length >= AHEAD * concurrency) await settleFirst();
    }
    while (begun.length > 0) await settleFirst();
  } finally {
    // What is still under way must not meet the next attempt.
    await Promise.allSettled(begun.map(({ pushed }) => pushed));
  }
}

/** Gives what was refused once more; answers what became of it. Letters on versions that were since replaced are dropped. */
export async function redeliver(parts: DeliverParts): Promise<DeliveryReport> {
  const { store, name, collection } = parts;
  const scope = scopeOf(collection);
  const report = nothing();
  let after: Pick<DeadLetter, 'scope' | 'dateAdded'> = { scope, dateAdded: 0 };
  for (;;) {
    const letters = (await store.deadLetters(name, after, BATCH)).filter((letter) => letter.scope === scope);
    const last = letters.at(-1);
    if (last === undefined) return report;
    after = last;
    const ids = letters.map(({ objectId }) => objectId);
    const { entries } = await store.page({ ...filterOf(collection), objectIds: ids, after: 0, limit: BATCH });
    const dates = new Set(letters.map(({ dateAdded }) => dateAdded));
    const standing = entries.filter(({ dateAdded }) => dates.has(dateAdded));
    const attempts = new Map(letters.map((letter) => [letter.dateAdded, letter.attempts]));
    const again = await pushEntries(parts, standing, report, { attempts });
    // Only now: a target that is away must not cost a letter.
    const settled = letters.filter(({ dateAdded }) => !again.has(dateAdded));
    await store.transaction((tx) => tx.removeDeadLetters(name, settled));
  }
}

/**
 * Takes out of a target what it was given of collections that its sink no longer has, and forgets what it refused of them.
 * `elsewhere`: those that another sink delivers to the same place. Answers how many documents left.
 */
export async function withdrawDropped(
  parts: Omit<DeliverParts, 'collection' | 'keep'>,
  collections: readonly DeliveredCollection[],
  elsewhere: ReadonlySet<string>,
): Promise<number> {
  const { store, sink, name, signal } = parts;
  let swept = 0;
  for (const alias of await aliasesIn(store, name, sink)) {
    if (collections.some((collection) => collection.alias === alias)) continue;
    const none = new Set<string>();
    if (!elsewhere.has(alias)) swept += await sink.sweep({ alias }, async () => none, signal);
    await store.transaction((tx) => forgetAlias(tx, name, sink, alias));
  }
  const views = new Set(collections.map(scopeOf));
  await dropLetters(parts, ({ scope }) => !views.has(scope));
  return swept;
}

async function dropLetters(
  { store, name }: Pick<DeliverParts, 'store' | 'name'>,
  isSettled: (letter: DeadLetter) => boolean,
): Promise<void> {
  for (let after: DeadLetter | null = null; ; ) {
    const letters: DeadLetter[] = await store.deadLetters(name, after, BATCH);
    after = letters.at(-1) ?? null;
    if (after === null) return;
    const settled = letters.filter(isSettled);
    if (settled.length > 0) await store.transaction((tx) => tx.removeDeadLetters(name, settled));
  }
}

function nothing(): DeliveryReport {
  return { written: 0, unchanged: 0, refused: 0, swept: 0 };
}

async function liveAmong(
  { store, collection }: DeliverParts,
  objectIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const live = new Set<string>();
  if (objectIds.length === 0) return live;
  const filter = { ...filterOf(collection), objectIds };
  const { entries } = await store.page({ ...filter, after: 0, limit: objectIds.length });
  for (const entry of entries) if (entry.kind === 'indicator' && !entry.revoked) live.add(entry.objectId);
  return live;
}

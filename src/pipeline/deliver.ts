import { hash } from 'node:crypto';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import type { CollectionDefinition } from '../model/definition.ts';
import type { Entry, IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import type { DeadLetter } from '../model/state.ts';
import type { Sink } from '../sinks/sink.ts';
import type { EntryFilter, Writer } from '../store/store.ts';

export interface DeliverParts {
  clock: Clock;
  store: Writer;
  /** The sink's name in the configuration. */
  name: string;
  sink: Sink;
  collection: CollectionDefinition;
  /** Milliseconds a withdrawal stands in the collection's journal. */
  keep: number;
  signal: AbortSignal;
  /** Entries read and pushed at a time. */
  page?: number;
  /** Told now and then: entries looked at so far, of about how many. */
  progress?(done: number, total: number): void;
}

const PAGE = 5000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
/** Entries that a target keeps putting off become a failure of the whole, which is tried again later. */
const ATTEMPTS = 8;
/** More refused entries than anybody will read mean that the target is wrong, not they: delivery then waits for somebody. */
export const MAX_DEAD_LETTERS = 10_000;
/** A checkpoint without news is renewed this often, so that its age says how long the sink was away. */
const RENEWAL = 60 * MICROS_PER_SECOND;

/**
 * Brings a sink up to all that a collection says, from its checkpoint on. At least once, and doing it again changes nothing. A
 * sink that is new to the collection, or that was away for longer than withdrawals are told, is rebuilt.
 * Throws as `Sink.push`; what was delivered by then stays delivered.
 */
export async function deliver(parts: DeliverParts): Promise<DeliveryReport> {
  const { clock, store, name, collection, keep, signal } = parts;
  const checkpoint = await store.checkpoint(name, checkpointOf(parts));
  if (checkpoint === null || clock.now() - checkpoint.updatedAt > keep * MICROS_PER_MS) return rebuild(parts);
  const report = nothing();
  let after = checkpoint.dateAdded;
  for (;;) {
    signal.throwIfAborted();
    const { entries, more } = await store.page({ ...filterOf(collection), after, limit: parts.page ?? PAGE });
    const last = entries.at(-1);
    if (last !== undefined) {
      await pushEntries(parts, entries, report);
      after = last.dateAdded;
    }
    const isNews = last !== undefined || clock.now() - checkpoint.updatedAt > RENEWAL;
    // Its age is that of the last time nothing was missing: on a long way back, withdrawals may leave before they are told.
    if (isNews) await saveCheckpoint(parts, after, more ? checkpoint.updatedAt : clock.now());
    if (!more) return report;
  }
}

/**
 * Gives a sink the live set anew, then takes out what it holds besides. What is told meanwhile follows by the checkpoint,
 * which is set only at the end: a rebuild that is cut begins anew.
 */
export async function rebuild(parts: DeliverParts): Promise<DeliveryReport> {
  const { store, sink, collection, signal, progress } = parts;
  const filter = filterOf(collection);
  const head = (await store.newest(filter)) ?? 0;
  const total = Object.entries(await store.countLive(collection.journal))
    .filter(([type]) => collection.types?.includes(type as never) ?? true)
    .reduce((sum, [, count]) => sum + (count ?? 0), 0);
  const report = nothing();
  let after: Micros = 0;
  let done = 0;
  for (let more = true; more; ) {
    signal.throwIfAborted();
    const page = await store.page({ ...filter, after, limit: parts.page ?? PAGE });
    // What keeps versions must hear of withdrawals as well: it may hold what they end.
    const told = page.entries.filter(
      (entry) => entry.kind === 'indicator' && !(entry.revoked && sink.holds === 'live'),
    );
    await pushEntries(parts, told, report, { anew: true });
    done += told.length;
    progress?.(done, Math.max(done, total));
    after = page.entries.at(-1)?.dateAdded ?? after;
    more = page.more && after < head;
  }
  const isLive = async (objectIds: readonly string[]): Promise<ReadonlySet<string>> => liveAmong(parts, objectIds);
  report.swept = await sink.sweep(collection, isLive, signal);
  // Not beyond the head that was seen: of what came later, only a part was read.
  await saveCheckpoint(parts, head, parts.clock.now());
  return report;
}

/** Gives what was refused once more; answers what became of it. Letters on versions that were since replaced are dropped. */
export async function redeliver(parts: DeliverParts): Promise<DeliveryReport> {
  const { store, name, collection } = parts;
  const view = viewOf(collection);
  const report = nothing();
  let after: Pick<DeadLetter, 'view' | 'dateAdded'> = { view, dateAdded: 0 };
  for (;;) {
    const letters = (await store.deadLetters(name, after, PAGE)).filter((letter) => letter.view === view);
    const last = letters.at(-1);
    if (last === undefined) return report;
    after = last;
    const ids = letters.map(({ objectId }) => objectId);
    const { entries } = await store.page({ ...filterOf(collection), objectIds: ids, after: 0, limit: PAGE });
    const dates = new Set(letters.map(({ dateAdded }) => dateAdded));
    const standing = entries.filter(({ dateAdded }) => dates.has(dateAdded));
    const attempts = new Map(letters.map((letter) => [letter.dateAdded, letter.attempts]));
    const again = await pushEntries(parts, standing, report, { attempts });
    // Only now: a target that is away must not cost a letter.
    const settled = letters.filter(({ dateAdded }) => !again.has(dateAdded));
    await store.transaction((tx) => tx.removeDeadLetters(name, settled));
  }
}

/** What a checkpoint is of: a collection by what it reads, so that another meaning of the same name begins anew. */
export function viewOf({ alias, journal, types }: Pick<CollectionDefinition, 'alias' | 'journal' | 'types'>): string {
  return `${alias} ${journal} ${types === null ? '*' : [...types].sort().join(',')}`;
}

/** A checkpoint is of a view in a place: another index or cluster under the same name begins anew. */
function checkpointOf({ collection, sink }: Pick<DeliverParts, 'collection' | 'sink'>): string {
  return `${viewOf(collection)} ${hash('sha1', sink.place).slice(0, 8)}`;
}

/** The checkpoint that counts now; null before the first delivery. */
export function findCheckpoint(
  store: Pick<Writer, 'checkpoint'>,
  name: string,
  of: Pick<DeliverParts, 'collection' | 'sink'>,
): ReturnType<Writer['checkpoint']> {
  return store.checkpoint(name, checkpointOf(of));
}

function nothing(): DeliveryReport {
  return { written: 0, unchanged: 0, refused: 0, swept: 0 };
}

function filterOf({ journal, types }: CollectionDefinition): EntryFilter {
  const versions = { last: true, first: false, all: false, exact: [] };
  return { journal, observableTypes: types, stixTypes: null, objectIds: null, versions };
}

/** Answers the dates of those that were refused. */
async function pushEntries(
  parts: DeliverParts,
  entries: readonly Entry[],
  report: DeliveryReport,
  { attempts = new Map(), anew = false }: { attempts?: ReadonlyMap<Micros, number>; anew?: boolean } = {},
): Promise<ReadonlySet<Micros>> {
  const refusedDates = new Set<Micros>();
  const { sink, collection, clock, signal } = parts;
  let rest = sink.holds === 'live' ? lastWords(entries) : entries.filter((entry) => entry.kind === 'indicator');
  for (let tries = 1; rest.length > 0; tries += 1) {
    const { written, unchanged, refused, later } = await sink.push(collection, rest, signal, anew);
    report.written += written;
    report.unchanged += unchanged;
    report.refused += refused.length;
    if (refused.length > 0) await keepRefused(parts, refused, attempts);
    for (const { entry } of refused) refusedDates.add(entry.dateAdded);
    if (later.length > 0 && tries >= ATTEMPTS) {
      throw new GatewayError('sink-unavailable', `${later.length} entries were put off ${tries} times.`);
    }
    if (later.length > 0) await clock.sleep(waitFor(tries), signal);
    rest = later.toSorted((a, b) => a.dateAdded - b.dateAdded);
  }
  return refusedDates;
}

/**
 * The last that is said of each observable. A re-issue's tombstone stands behind the new indicator of the same observable,
 * and says nothing of it.
 */
function lastWords(entries: readonly Entry[]): IndicatorEntry[] {
  const last = new Map<string, IndicatorEntry>();
  for (const entry of entries) {
    if (entry.kind !== 'indicator' || entry.reason === 'reissued') continue;
    // Deleted first, so that the map keeps the order of what it holds now.
    last.delete(entry.key);
    last.set(entry.key, entry);
  }
  return [...last.values()];
}

/** Longer each time, never in step with others. */
export function waitFor(tries: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
}

async function keepRefused(
  { store, clock, name, collection }: DeliverParts,
  refused: readonly { entry: IndicatorEntry; reason: string }[],
  attempts: ReadonlyMap<Micros, number>,
): Promise<void> {
  const view = viewOf(collection);
  const at = clock.now();
  const letters = refused.map(({ entry: { dateAdded, objectId }, reason }) => {
    return { sink: name, view, dateAdded, objectId, reason, attempts: (attempts.get(dateAdded) ?? 0) + 1, at };
  });
  const known = await store.deadLetterCount(name);
  if (attempts.size === 0 && known + letters.length > MAX_DEAD_LETTERS) {
    const why = letters[0]?.reason ?? '';
    throw new GatewayError(
      'sink-refused',
      `${known} entries were refused, and ${letters.length} more would be. Mend that, then run sink retry ${name}. ${why}`,
    );
  }
  await store.transaction((tx) => tx.addDeadLetters(letters));
}

async function saveCheckpoint(parts: DeliverParts, dateAdded: Micros, updatedAt: Micros): Promise<void> {
  const { store, name } = parts;
  const checkpoint = { sink: name, view: checkpointOf(parts), dateAdded, updatedAt };
  await store.transaction((tx) => tx.saveCheckpoint(checkpoint));
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

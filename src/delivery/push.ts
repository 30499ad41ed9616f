import type { Micros } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import type { Entry, IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import { observableTypes } from '../model/observable.ts';
import { PushRejected, type PushReport } from '../sinks/sink.ts';
import { scopeOf } from './checkpoint.ts';
import type { DeliverParts } from './deliver.ts';

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
/** How often an entry is tried that a target puts off. */
const ATTEMPTS = 8;
/** More refused entries than anybody will read mean that the target is wrong, not they: delivery then waits for somebody. */
export const MAX_DEAD_LETTERS = 10_000;

export interface PushOptions {
  /** Of entries that were refused before, by their date. */
  attempts?: ReadonlyMap<Micros, number>;
  anew?: boolean;
}

/**
 * Gives entries to a sink until each has its fate, and adds to `report`. Answers the dates of those that were refused, which are
 * kept as dead letters. One that a target can't take is refused after ATTEMPTS tries, but only where the target takes others
 * meanwhile: while it is down or busy nothing is given up. Throws as `Sink.push`, and `sink-unavailable` when it stays busy.
 */
export async function pushEntries(
  parts: DeliverParts,
  entries: readonly Entry[],
  report: DeliveryReport,
  { attempts = new Map(), anew = false }: PushOptions = {},
): Promise<ReadonlySet<Micros>> {
  const refusedDates = new Set<Micros>();
  const { sink, clock, signal } = parts;
  const refuse = async (refused: PushReport['refused']): Promise<void> => {
    if (refused.length === 0) return;
    report.refused += refused.length;
    await keepRefused(parts, refused, attempts);
    for (const { entry } of refused) refusedDates.add(entry.dateAdded);
  };
  let rest = sink.holds === 'live' ? lastWords(entries) : entries.filter((entry) => entry.kind === 'indicator');
  for (let tries = 1; rest.length > 0; tries += 1) {
    const { written, unchanged, refused, later } = await pushOrHalve(parts, rest, anew);
    report.written += written;
    report.unchanged += unchanged;
    await refuse(refused);
    rest = later.map(({ entry }) => entry).sort((a, b) => a.dateAdded - b.dateAdded);
    if (later.length > 0 && tries >= ATTEMPTS) {
      const isBusy = later.some((each) => each.isBusy);
      if (isBusy || !(await takesOthers(parts, rest))) {
        throw new GatewayError('sink-unavailable', `${rest.length} entries were put off ${tries} times.`);
      }
      await refuse(later);
      return refusedDates;
    }
    if (later.length > 0) await clock.sleep(waitFor(tries), signal);
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

/** Where a target takes nothing of these but does take others, halves find what is to blame; the rest goes on. */
async function pushOrHalve(
  parts: DeliverParts,
  entries: readonly IndicatorEntry[],
  anew: boolean,
): Promise<PushReport> {
  try {
    return await parts.sink.push(parts.collection, entries, parts.signal, anew);
  } catch (error) {
    if (!(error instanceof PushRejected) || !(await takesOthers(parts, entries))) throw error;
    const [first, ...others] = entries as [IndicatorEntry, ...IndicatorEntry[]];
    if (others.length === 0) {
      return { written: 0, unchanged: 0, refused: [], later: [{ entry: first, reason: error.message, isBusy: false }] };
    }
    const middle = entries.length >> 1;
    const one = await pushOrHalve(parts, entries.slice(0, middle), anew);
    const other = await pushOrHalve(parts, entries.slice(middle), anew);
    return {
      written: one.written + other.written,
      unchanged: one.unchanged + other.unchanged,
      refused: [...one.refused, ...other.refused],
      later: [...one.later, ...other.later],
    };
  }
}

/**
 * Does the target take anything now? It is given live entries one by one, the newest of each type, until it takes one: another
 * time is harmless to it. Only this tells an entry that is to blame from a target that is down behind whoever answered.
 */
async function takesOthers(parts: DeliverParts, suspects: readonly IndicatorEntry[]): Promise<boolean> {
  const { store, sink, collection, signal } = parts;
  const suspected = new Set(suspects.map(({ dateAdded }) => dateAdded));
  const any = { minConfidence: null, maxConfidence: null, since: null, before: null, offset: 0, limit: 1 };
  const witnesses: IndicatorEntry[] = [];
  for (const type of collection.types ?? observableTypes) {
    const { entries } = await store.live({ journal: collection.journal, observableTypes: [type], ...any });
    witnesses.push(...entries.filter(({ dateAdded }) => !suspected.has(dateAdded)));
  }
  // On the first way to a target there may be no others.
  if (suspects.length > 1) witnesses.push(...suspects.filter(({ revoked }) => !revoked).slice(-2));
  for (const witness of witnesses) {
    try {
      const { written, unchanged } = await sink.push(collection, [witness], signal);
      if (written + unchanged > 0) return true;
    } catch (error) {
      if (!(error instanceof PushRejected)) return false;
    }
  }
  return false;
}

async function keepRefused(
  { store, clock, name, collection }: DeliverParts,
  refused: readonly { entry: IndicatorEntry; reason: string }[],
  attempts: ReadonlyMap<Micros, number>,
): Promise<void> {
  const scope = scopeOf(collection);
  const at = clock.now();
  const letters = refused.map(({ entry: { dateAdded, objectId }, reason }) => {
    return { sink: name, scope, dateAdded, objectId, reason, attempts: (attempts.get(dateAdded) ?? 0) + 1, at };
  });
  // In one transaction: pages that are under way together count together.
  await store.transaction(async (tx) => {
    const known = await tx.deadLetterCount(name);
    if (attempts.size === 0 && known + letters.length > MAX_DEAD_LETTERS) {
      const why = letters[0]?.reason ?? '';
      throw new GatewayError(
        'sink-refused',
        `${known} entries were refused, and ${letters.length} more would be. Mend that, then run sink retry ${name}. ${why}`,
      );
    }
    await tx.addDeadLetters(letters);
  });
}

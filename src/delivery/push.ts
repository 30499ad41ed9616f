import type { Micros } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import type { Entry, IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import { observableTypes } from '../model/observable.ts';
import { PushRejected, type PushReport } from '../sinks/sink.ts';
import { backoff } from './backoff.ts';
import type { DeliveryContext } from './context.ts';
import { addDeadLetters } from './dead-letters.ts';

/** How often an entry is tried that the target does not take now. */
const ATTEMPTS = 8;

export interface PushOptions {
  /** For entries that were refused before: how often each was tried, by date. */
  attempts?: ReadonlyMap<Micros, number>;
  /** As in Sink.push. */
  overwrite?: boolean;
}

/**
 * Pushes entries until each is written or refused, and adds to `report`. Refused entries become dead letters; returns their dates.
 * An entry that the target does not take is refused after ATTEMPTS tries, but only while it takes others: a target that is down or
 * busy costs no entry. Throws as `Sink.push`, and `sink-unavailable` when the target stays busy.
 */
export async function pushEntries(
  context: DeliveryContext,
  entries: readonly Entry[],
  report: DeliveryReport,
  { attempts = new Map(), overwrite = false }: PushOptions = {},
): Promise<ReadonlySet<Micros>> {
  const refusedDates = new Set<Micros>();
  const { sink, clock, signal } = context;
  const refuse = async (refused: PushReport['refused']): Promise<void> => {
    if (refused.length === 0) return;
    report.refused += refused.length;
    await addDeadLetters(context, refused, attempts);
    for (const { entry } of refused) refusedDates.add(entry.dateAdded);
  };
  let rest = sink.holds === 'live' ? lastPerObservable(entries) : entries.filter((entry) => entry.kind === 'indicator');
  for (let tries = 1; rest.length > 0; tries += 1) {
    const { written, unchanged, refused, later } = await pushOrBisect(context, rest, overwrite);
    report.written += written;
    report.unchanged += unchanged;
    await refuse(refused);
    rest = later.map(({ entry }) => entry).sort((a, b) => a.dateAdded - b.dateAdded);
    if (later.length > 0 && tries >= ATTEMPTS) {
      const isBusy = later.some((each) => each.isBusy);
      if (isBusy || !(await takesOthers(context, rest))) {
        throw new GatewayError('sink-unavailable', `${rest.length} entries were put off ${tries} times.`);
      }
      await refuse(later);
      return refusedDates;
    }
    if (later.length > 0) await clock.sleep(backoff(tries), signal);
  }
  return refusedDates;
}

/**
 * The last entry of each observable. The tombstone of a re-issued indicator is left out: it follows the new indicator of the same
 * observable and does not end it.
 */
function lastPerObservable(entries: readonly Entry[]): IndicatorEntry[] {
  const last = new Map<string, IndicatorEntry>();
  for (const entry of entries) {
    if (entry.kind !== 'indicator' || entry.reason === 'reissued') continue;
    // Deleted first, so that the map is in the order of the last entries.
    last.delete(entry.key);
    last.set(entry.key, entry);
  }
  return [...last.values()];
}

/** Pushes entries. When the target takes none of them but takes others, pushes each half, until the entry that is refused is found. */
async function pushOrBisect(
  context: DeliveryContext,
  entries: readonly IndicatorEntry[],
  overwrite: boolean,
): Promise<PushReport> {
  try {
    return await context.sink.push(context.collection, entries, context.signal, overwrite);
  } catch (error) {
    const [first, ...others] = entries;
    if (!(error instanceof PushRejected) || first === undefined || !(await takesOthers(context, entries))) throw error;
    if (others.length === 0) {
      return { written: 0, unchanged: 0, refused: [], later: [{ entry: first, reason: error.message, isBusy: false }] };
    }
    const middle = entries.length >> 1;
    const one = await pushOrBisect(context, entries.slice(0, middle), overwrite);
    const other = await pushOrBisect(context, entries.slice(middle), overwrite);
    return {
      written: one.written + other.written,
      unchanged: one.unchanged + other.unchanged,
      refused: [...one.refused, ...other.refused],
      later: [...one.later, ...other.later],
    };
  }
}

/**
 * True when the target takes anything now. It tells an entry that can't be taken from a target that is down behind a proxy. The
 * newest live entry of each type is pushed, one by one, until one is taken; pushing one again changes nothing.
 */
async function takesOthers(context: DeliveryContext, suspects: readonly IndicatorEntry[]): Promise<boolean> {
  const { store, sink, collection, signal } = context;
  const suspected = new Set(suspects.map(({ dateAdded }) => dateAdded));
  const newest = { minConfidence: null, maxConfidence: null, since: null, before: null, offset: 0, limit: 1 };
  const probes: IndicatorEntry[] = [];
  for (const type of collection.types ?? observableTypes) {
    const { entries } = await store.live({ journal: collection.journal, observableTypes: [type], ...newest });
    probes.push(...entries.filter(({ dateAdded }) => !suspected.has(dateAdded)));
  }
  // During a first delivery there may be no other entries: then the last two of these stand in.
  if (suspects.length > 1) probes.push(...suspects.filter(({ revoked }) => !revoked).slice(-2));
  for (const probe of probes) {
    try {
      const { written, unchanged } = await sink.push(collection, [probe], signal);
      if (written + unchanged > 0) return true;
    } catch (error) {
      if (!(error instanceof PushRejected)) return false;
    }
  }
  return false;
}

import type { ListDefinition } from '../model/definition.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import type { ObservableType } from '../model/observable.ts';
import { networkOf } from '../outputs/addresses.ts';
import type { Tally } from '../outputs/output.ts';
import type { Reader } from '../store/store.ts';
import { mergeNetworks } from './merge-networks.ts';

/** Entries that are read at a time. */
const SLICE = 500;

/** What of a journal a list holds. */
export interface ListQuery extends Pick<ListDefinition, 'minConfidence' | 'minPrefix' | 'aggregate' | 'order'> {
  journal: string;
  /** Null: all. */
  types: readonly ObservableType[] | null;
}

/**
 * Reads the entries of a list in its order, in one snapshot of the store, so that none is missing or twice because it changed meanwhile.
 * What is too wide is counted and left out.
 */
export function readList(store: Pick<Reader, 'live'>, query: ListQuery, tally: Tally): AsyncIterable<IndicatorEntry[]> {
  const slices = withoutWide(readInOrder(store, query), query, tally);
  return query.aggregate ? mergeNetworks(slices) : slices;
}

/**
 * The strongest first, in steps of ten points of confidence, and the newest first within each: no sum of entries has to be held to
 * order them. Entries without a confidence come last.
 */
async function* readInOrder(store: Pick<Reader, 'live'>, query: ListQuery): AsyncGenerator<IndicatorEntry[]> {
  const { minConfidence, order } = query;
  if (order === 'newest') return yield* readNewest(store, query, [minConfidence, null]);
  for (let most = 100; most >= (minConfidence ?? 0); most = most === 100 ? 99 : most - 10)
    yield* readNewest(store, query, [Math.max(most === 100 ? 100 : most - 9, minConfidence ?? 0), most]);
  if (minConfidence !== null) return;
  for await (const slice of readNewest(store, query, [null, null]))
    yield slice.filter(({ confidence }) => confidence === null);
}

async function* readNewest(
  store: Pick<Reader, 'live'>,
  { journal, types }: ListQuery,
  [minConfidence, maxConfidence]: readonly [number | null, number | null],
): AsyncGenerator<IndicatorEntry[]> {
  if (types?.length === 0) return;
  const bounds = { observableTypes: types, minConfidence, maxConfidence, since: null, offset: 0, limit: SLICE };
  for (let before: number | null = null; ; ) {
    const { entries, more } = await store.live({ journal, ...bounds, before });
    yield entries;
    before = entries.at(-1)?.dateAdded ?? null;
    if (!more || before === null) return;
  }
}

/** Leaves out networks whose prefix is shorter than the list's. */
async function* withoutWide(
  slices: AsyncIterable<IndicatorEntry[]>,
  { minPrefix }: ListQuery,
  tally: Tally,
): AsyncGenerator<IndicatorEntry[]> {
  for await (const slice of slices) {
    const kept = slice.filter(({ type, value }) => {
      if (type !== 'ipv4' && type !== 'ipv6') return true;
      return !value.includes('/') || networkOf(value).prefix >= minPrefix[type];
    });
    tally.tooWide += slice.length - kept.length;
    yield kept;
  }
}

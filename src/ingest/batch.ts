import { BATCH_ROWS, type FeedBatch, type FeedItem } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition, FeedMode } from '../model/definition.ts';
import { type FeedFilter, passesFilter } from '../model/feed-filter.ts';
import type { Observation, Rejection, SourceObject, StixObject } from '../model/observation.ts';
import type { FeedState } from '../model/state.ts';
import { normalise } from '../normalise/normalise.ts';
import { sourceObjectOf } from '../normalise/stix-item.ts';
import type { Pull, Transaction } from '../store/store.ts';

/** Rows of a batch, normalised. One row may hold a thousand observations, and those of a transaction are bounded. */
export interface Rows {
  observations: Observation[];
  objects: StixObject[];
  /** Objects that may have been observations in another version, and are none in this. */
  silent: SourceObject[];
  rejections: Rejection[];
  /** Rows taken, whatever the number of observations in each. */
  accepted: number;
  /** Observations of these that the feed's filter left out. */
  filtered: number;
  /** Rows not taken; a note on a row that was taken is a rejection of a part of it. */
  refused: number;
}

/** What is committed at once. `batch`: for the last part the batch itself, for others one that ends nothing and moves no cursor. */
export interface BatchPart {
  rows: Rows;
  batch: FeedBatch;
}

/**
 * Normalises the rows of a batch. Yields it in parts, nearly always one: each holds at most BATCH_ROWS observations and those of one
 * row more.
 */
export function* normaliseBatch(batch: FeedBatch, feed: FeedDefinition, now: Micros): Generator<BatchPart> {
  let rows = emptyRows();
  for (const item of batch.items) {
    if (rows.observations.length > BATCH_ROWS) {
      yield { rows, batch: { items: [], rejected: [], cursor: null, last: false } };
      rows = emptyRows();
    }
    normaliseItem(item, feed, now, rows);
  }
  rows.silent.push(...(batch.ended ?? []));
  yield { rows, batch };
}

function emptyRows(): Rows {
  return { observations: [], objects: [], silent: [], rejections: [], accepted: 0, filtered: 0, refused: 0 };
}

/** What is kept of a part whose rows are the reason to hold its pull back. */
export function onlyRejections({ rows, batch }: BatchPart): BatchPart {
  const { rejections, refused } = rows;
  return {
    rows: { ...emptyRows(), rejections, refused },
    batch: { items: [], rejected: batch.rejected, cursor: null, last: false },
  };
}

function normaliseItem(item: FeedItem, feed: FeedDefinition, now: Micros, rows: Rows): void {
  const result = normalise(item, feed, now);
  const silent = result.kind === 'observations' ? null : sourceObjectOf(item);
  if (silent !== null) rows.silent.push(silent);
  if (result.kind === 'rejection') {
    rows.rejections.push(result.rejection);
    rows.refused += 1;
    return;
  }
  rows.accepted += 1;
  if (result.kind === 'object') rows.objects.push(result.object);
  else {
    const kept = feed.filter === undefined ? result.observations : filter(result.observations, feed.filter, feed);
    for (const observation of kept) rows.observations.push(datedBy(observation, item, feed, now));
    rows.filtered += result.observations.length - kept.length;
    // In a delta feed, a version that is filtered out still replaces the older versions.
    const source = kept.length === 0 && feed.mode === 'delta' ? sourceObjectOf(item) : null;
    if (source !== null) rows.silent.push(source);
  }
  for (const note of result.notes ?? []) rows.rejections.push({ ...note, isNote: true });
}

function filter(observations: readonly Observation[], by: FeedFilter, { confidence }: FeedDefinition): Observation[] {
  return observations.filter((observation) => passesFilter(by, observation, confidence));
}

/** A delta feed's row without any date was seen when it was read. A STIX object is dated by its version, which is no sighting. */
function datedBy(observation: Observation, item: FeedItem, feed: FeedDefinition, now: Micros): Observation {
  const { lastSeen, firstSeen, validFrom, validUntil } = observation;
  if (
    'stix' in item ||
    feed.mode === 'snapshot' ||
    lastSeen !== null ||
    firstSeen !== null ||
    validFrom !== null ||
    validUntil !== null
  ) {
    return observation;
  }
  return { ...observation, lastSeen: now };
}

/** What became of the rows of a pull, or of a batch of it. */
export interface Counters {
  /** Rows that the upstream sent. */
  read: number;
  /** What they became beyond one each. */
  split: number;
  /** Observations and objects that were made of them. */
  taken: number;
  /** Observations that the feed's filter left out. */
  filtered: number;
  /** Rows that were not taken. */
  refused: number;
  /** Of these, the ones that this pull refused for the first time. */
  first: number;
}

export const NO_ROWS: Counters = { read: 0, split: 0, taken: 0, filtered: 0, refused: 0, first: 0 };

/** `first`: rows that this pull refused for the first time. */
export function countersOf({ rows, batch }: BatchPart, first: number): Counters {
  const unread = batch.rejected.filter(({ isNote }) => isNote !== true).length;
  const made = rows.observations.length + rows.objects.length;
  return {
    read: rows.accepted + rows.refused + unread,
    // Fewer than one each would be a loss: that must not add up.
    split: Math.max(0, made + rows.filtered - rows.accepted),
    taken: made,
    filtered: rows.filtered,
    refused: unread + rows.refused,
    first,
  };
}

export function sumOf(a: Counters, b: Counters): Counters {
  return {
    read: a.read + b.read,
    split: a.split + b.split,
    taken: a.taken + b.taken,
    filtered: a.filtered + b.filtered,
    refused: a.refused + b.refused,
    first: a.first + b.first,
  };
}

type StateCounters = Partial<Pick<FeedState, 'read' | 'split' | 'folded' | 'filtered' | 'gone'>>;

/**
 * The account of a feed's rows (model/state.ts) after a batch. That of a delta feed goes on with every batch. That of a snapshot
 * is of the last whole pull: until the next is whole, what its batches add counts as read beside it.
 *
 * `inserted`: rows held more than before the batch. `added`: rows that were refused for the first time ever.
 */
export function countersAfterBatch(
  mode: FeedMode,
  { read, split, folded, filtered }: FeedState,
  batch: Counters,
  inserted: number,
  added: number,
): StateCounters {
  if (mode === 'snapshot') return { read: read + inserted + added };
  return {
    read: read + batch.read,
    split: split + batch.split,
    filtered: filtered + batch.filtered,
    folded: folded + (batch.taken - inserted) + (batch.refused - added),
  };
}

/** The account of a snapshot that was read whole, after what vanished was taken out. */
export async function countersOfWhole(tx: Transaction, pull: Pull, counters: Counters): Promise<StateCounters> {
  const { read, split, taken, filtered, refused, first } = counters;
  return { read, split, folded: taken - (await tx.marked(pull)) + (refused - first), filtered, gone: 0 };
}

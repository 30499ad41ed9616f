import { BATCH_ROWS, type FeedBatch, type FeedItem } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { Observation, Rejection, SourceObject, StixObject } from '../model/observation.ts';
import { normalise } from '../normalise/normalise.ts';
import { sourceObjectOf } from '../normalise/stix-item.ts';

/** Rows of a batch, normalised. One row may hold a thousand observations, and those of a transaction are bounded. */
export interface Rows {
  observations: Observation[];
  objects: StixObject[];
  /** Objects that may have been observations in another version. */
  silent: SourceObject[];
  rejections: Rejection[];
  /** Rows taken, whatever the number of observations in each. */
  accepted: number;
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
  yield { rows, batch };
}

function emptyRows(): Rows {
  return { observations: [], objects: [], silent: [], rejections: [], accepted: 0, refused: 0 };
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
  else for (const observation of result.observations) rows.observations.push(datedBy(observation, item, feed, now));
  for (const note of result.notes ?? []) rows.rejections.push({ ...note, isNote: true });
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

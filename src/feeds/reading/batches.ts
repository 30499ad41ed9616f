import type { Rejection } from '../../model/observation.ts';
import { BATCH_BYTES, BATCH_ROWS, type FeedBatch, type FeedItem } from '../feed.ts';

/** An item or a rejection, and the bytes that it was read from. */
export type Found = ({ item: FeedItem } | { rejection: Rejection }) & { bytes: number };

/**
 * Groups what is found into the batches of a whole pull; the last has `last: true`. An empty list says that the upstream
 * pauses: what has come is given then.
 */
export async function* inBatches(lists: AsyncIterable<readonly Found[]>): AsyncGenerator<FeedBatch> {
  let batch = emptyBatch();
  let bytes = 0;
  for await (const list of lists) {
    if (list.length === 0) {
      yield batch;
      [batch, bytes] = [emptyBatch(), 0];
    }
    for (const found of list) {
      if ('rejection' in found) batch.rejected.push(found.rejection);
      else batch.items.push(found.item);
      bytes += found.bytes;
      if (batch.items.length + batch.rejected.length < BATCH_ROWS && bytes < BATCH_BYTES) continue;
      yield batch;
      [batch, bytes] = [emptyBatch(), 0];
    }
  }
  yield { ...batch, last: true };
}

function emptyBatch(): FeedBatch {
  return { items: [], rejected: [], cursor: null, last: false };
}

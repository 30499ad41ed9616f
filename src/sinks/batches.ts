import type { IndicatorEntry } from '../model/entry.ts';
import type { PushReport } from './sink.ts';

/** What is sent in one request. */
export interface Batch {
  /** A JSON text of each entry, and of what else is sent with them. */
  objects: string[];
  entries: IndicatorEntry[];
}

/** Requests are no longer than this, whatever the target takes. */
export const MOST_BYTES = 8 * 1024 * 1024;

export interface BatchLimits {
  count: number;
  /** Of the whole request. */
  bytes: number;
  /** Bytes of the request around the objects. */
  frame: number;
}

/**
 * Entries in batches of so many objects and bytes, in order. Two versions of one object never share a batch, because some targets
 * name failures by id. An entry that is larger than a target takes is refused.
 */
export function* batchesOf(
  entries: readonly IndicatorEntry[],
  render: (entry: IndicatorEntry) => string,
  { count, bytes: most, frame }: BatchLimits,
  refused: PushReport['refused'],
): Generator<Batch> {
  let batch: Batch = { objects: [], entries: [] };
  let ids = new Set<string>();
  let bytes = frame;
  for (const entry of entries) {
    const text = render(entry);
    // With the comma before it.
    const own = Buffer.byteLength(text) + 1;
    if (frame + own > most) {
      refused.push({ entry, reason: `the object is larger than the server takes (${most} bytes)` });
      continue;
    }
    const isFull = batch.objects.length >= count || bytes + own > most || ids.has(entry.objectId);
    if (isFull) {
      yield batch;
      batch = { objects: [], entries: [] };
      ids = new Set();
      bytes = frame;
    }
    batch.objects.push(text);
    batch.entries.push(entry);
    ids.add(entry.objectId);
    bytes += own;
  }
  if (batch.objects.length > 0) yield batch;
}

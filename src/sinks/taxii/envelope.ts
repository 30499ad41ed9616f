import type { IndicatorEntry } from '../../model/entry.ts';
import type { PushReport } from '../sink.ts';

/** What is posted at once (TAXII 2.1 section 3.7). */
export interface Envelope {
  /** JSON texts of STIX objects. */
  objects: string[];
  /** The entries among them. */
  entries: IndicatorEntry[];
}

/** `{"objects":[` and `]}`. */
const FRAME_BYTES = 14;

/**
 * Entries in envelopes of so many objects and bytes, in order. Two versions of one object never share an envelope, because a status
 * names failures by id. An entry that is larger than a server takes is refused.
 */
export function* envelopesOf(
  entries: readonly IndicatorEntry[],
  render: (entry: IndicatorEntry) => string,
  most: { count: number; bytes: number },
  refused: PushReport['refused'],
): Generator<Envelope> {
  let envelope: Envelope = { objects: [], entries: [] };
  let ids = new Set<string>();
  let bytes = FRAME_BYTES;
  for (const entry of entries) {
    const text = render(entry);
    // With the comma before it.
    const own = Buffer.byteLength(text) + 1;
    if (FRAME_BYTES + own > most.bytes) {
      refused.push({ entry, reason: `the object is larger than the server takes (${most.bytes} bytes)` });
      continue;
    }
    const isFull = envelope.objects.length >= most.count || bytes + own > most.bytes || ids.has(entry.objectId);
    if (isFull) {
      yield envelope;
      envelope = { objects: [], entries: [] };
      ids = new Set();
      bytes = FRAME_BYTES;
    }
    envelope.objects.push(text);
    envelope.entries.push(entry);
    ids.add(entry.objectId);
    bytes += own;
  }
  if (envelope.objects.length > 0) yield envelope;
}

export function envelopeText({ objects }: Envelope): string {
  return `{"objects":[${objects.join(',')}]}`;
}

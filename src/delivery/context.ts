import type { Clock, Millis } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import type { DeliveredCollection } from '../model/definition.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Writer } from '../store/store.ts';

/** One collection that one sink delivers, and what delivering it needs. */
export interface DeliveryContext {
  clock: Clock;
  store: Writer;
  /** The sink's name in the configuration. */
  name: string;
  sink: Sink;
  collection: DeliveredCollection;
  /** How long a tombstone stays in the collection's journal. */
  keep: Millis;
  signal: AbortSignal;
  /** Entries that are read and pushed at a time. */
  page?: number;
  /** Called now and then by a rebuild: entries read so far, of about how many. */
  progress?(done: number, total: number): void;
}

/** A sink and its collections. */
export type SinkContext = Omit<DeliveryContext, 'collection' | 'keep'>;

export function emptyReport(): DeliveryReport {
  return { written: 0, unchanged: 0, refused: 0, swept: 0 };
}

import type { Micros } from '../model/clock.ts';
import type { Rejection } from '../model/observation.ts';
import type { RejectionCount, StoredRejection } from '../model/state.ts';
import type { Pull } from './store.ts';

/** The part of the storage contract (store.ts) that keeps what feeds' rows were refused for. */
export interface Refused {
  /** Rows refused, by reason, and the newest of those that are kept. */
  rejections(feed: string, limit: number): Promise<{ counts: RejectionCount[]; rows: StoredRejection[] }>;
}

export interface Refusals {
  /**
   * Keeps rows that the pull's feed refused, each (reason, row) once with its first and last time. The newest are kept up to a
   * bound per feed; of those that had to go the number stays, and one that comes again is counted again. Answers how many rows
   * (notes left aside) were never refused before, and how many came for the first time in this pull.
   */
  reject(pull: Pull, rejections: readonly Rejection[], at: Micros): Promise<{ added: number; first: number }>;
  /** The pull was whole and is all that the feed says: what earlier pulls refused, and this one didn't, is forgotten. */
  forgetRejections(pull: Pull): Promise<void>;
}

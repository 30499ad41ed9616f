import type { Micros } from '../../model/clock.ts';
import type { Rejection } from '../../model/observation.ts';
import type { RejectionCount, StoredRejection } from '../../model/state.ts';
import type { Pull } from './pulls.ts';

/** Rows of feeds that were refused, with the reason. */
export interface RejectionReader {
  /** Counts by reason, and up to `limit` of the kept rows, newest first. */
  rejections(feed: string, limit: number): Promise<{ counts: RejectionCount[]; rows: StoredRejection[] }>;
}

export interface RejectionWriter {
  /**
   * Keeps rows that the pull's feed refused, each (reason, row) once with its first and last time. The newest
   * MAX_REJECTIONS_PER_FEED (limits.ts) rows of a feed stay; of older ones only the number stays, and one that comes again is
   * counted again. Returns how many rows (without notes) were never refused before, and how many came for the first time in
   * this pull.
   */
  reject(pull: Pull, rejections: readonly Rejection[], at: Micros): Promise<{ added: number; first: number }>;
  /** Forgets what earlier pulls of the feed refused and this one did not. For a whole pull of a snapshot feed. */
  forgetRejections(pull: Pull): Promise<void>;
}

import type { Checkpoint, DeadLetter } from '../../model/state.ts';

/** How far sinks have come, and what their targets refused for good. */
export interface CheckpointReader {
  checkpoint(sink: string, view: string): Promise<Checkpoint | null>;
  /** All checkpoints of a sink, ascending by view. */
  checkpoints(sink: string): Promise<Checkpoint[]>;
  /** Dead letters of a sink, ascending by view and date, strictly after `after`, up to `limit`. */
  deadLetters(sink: string, after: Pick<DeadLetter, 'view' | 'dateAdded'> | null, limit: number): Promise<DeadLetter[]>;
  deadLetterCount(sink: string): Promise<number>;
}

export interface CheckpointWriter {
  /** Inserts or replaces by (sink, view). */
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  removeCheckpoint(sink: string, view: string): Promise<void>;
  /** Inserts or replaces by (sink, view, dateAdded). */
  addDeadLetters(letters: readonly DeadLetter[]): Promise<void>;
  removeDeadLetters(sink: string, letters: readonly Pick<DeadLetter, 'view' | 'dateAdded'>[]): Promise<void>;
}

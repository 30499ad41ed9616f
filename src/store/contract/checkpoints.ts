import type { Checkpoint, DeadLetter } from '../../model/state.ts';

/** How far sinks have come, and what their targets refused for good. */
export interface CheckpointReader {
  checkpoint(sink: string, scope: string): Promise<Checkpoint | null>;
  /** All checkpoints of a sink, ascending by scope. */
  checkpoints(sink: string): Promise<Checkpoint[]>;
  /** Dead letters of a sink, ascending by scope and date, strictly after `after`, up to `limit`. */
  deadLetters(
    sink: string,
    after: Pick<DeadLetter, 'scope' | 'dateAdded'> | null,
    limit: number,
  ): Promise<DeadLetter[]>;
  deadLetterCount(sink: string): Promise<number>;
}

export interface CheckpointWriter {
  /** Inserts or replaces by (sink, scope). */
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  removeCheckpoint(sink: string, scope: string): Promise<void>;
  /** Inserts or replaces by (sink, scope, dateAdded). */
  addDeadLetters(letters: readonly DeadLetter[]): Promise<void>;
  removeDeadLetters(sink: string, letters: readonly Pick<DeadLetter, 'scope' | 'dateAdded'>[]): Promise<void>;
}

import type { Pull } from '../store.ts';
import { Table } from './table.ts';

/** What a pull has seen: row ids, in tables that are committed and rolled back with the transactions that use it. */
export class MemoryPull implements Pull {
  readonly feed: string;
  readonly id: number;
  readonly observations = new Table<true>();
  readonly objects = new Table<true>();

  constructor(feed: string, id: number) {
    this.feed = feed;
    this.id = id;
  }

  end(outcome: 'commit' | 'rollback'): void {
    this.observations.end(outcome);
    this.objects.end(outcome);
  }
}

/** Makes the pull's marks part of the running transaction. Throws `internal` for a pull of another store. */
export type Touch = (pull: Pull) => MemoryPull;

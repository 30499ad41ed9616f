import type { StoreFault } from '../../model/error.ts';

/**
 * What the threads of a process know of a store without asking it: whether something was committed, and what is wrong with the
 * store as a whole. It is a shortcut: readers without one answer `state()` and `fault()` with null, and are asked instead.
 */
export interface CommitSignal {
  /**
   * Runs a commit of the only writer; `state` is null meanwhile, and another number afterwards even when the commit throws or
   * rejects.
   */
  around<T>(commit: () => T): T;
  /** The same number as before: nothing was committed in between. Null: a commit is under way. */
  state(): number | null;
  /** Keeps a fault. `store-damaged` takes the place of `store-full` and stays. */
  found(fault: StoreFault): void;
  /** The disk has room again: `store-full` is over. */
  hasRoom(): void;
  /** Null while nothing is known to be wrong. */
  fault(): StoreFault | null;
}

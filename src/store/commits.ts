import type { StoreFault } from '../model/error.ts';
import type { CommitSignal } from './contract/commit-signal.ts';

/** By their number in the shared memory. */
const faults = [null, 'store-full', 'store-damaged'] as const satisfies (StoreFault | null)[];

/**
 * The signal of commits in memory that all threads of a process share: a count that is odd while a commit is under way, and the
 * number of a fault. Reading it costs nothing, so that a page in the cache can be sent without a query.
 */
export class Commits implements CommitSignal {
  readonly memory: SharedArrayBuffer;
  readonly #count: Int32Array<SharedArrayBuffer>;
  readonly #fault: Int32Array<SharedArrayBuffer>;

  /** `memory`: of another thread's Commits, to share its numbers. */
  constructor(memory = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#count = new Int32Array(memory, 0, 1);
    this.#fault = new Int32Array(memory, Int32Array.BYTES_PER_ELEMENT, 1);
  }

  around<T>(commit: () => T): T {
    // The count is odd already when a writing thread died in the middle.
    Atomics.or(this.#count, 0, 1);
    const end = (): void => void Atomics.add(this.#count, 0, 1);
    let result: T;
    try {
      result = commit();
    } catch (error) {
      end();
      throw error;
    }
    if (result instanceof Promise) result.then(end, end);
    else end();
    return result;
  }

  state(): number | null {
    const count = Atomics.load(this.#count, 0);
    return count % 2 === 0 ? count : null;
  }

  /** Damage stays: most of a damaged file may still be read and written. */
  hasRoom(): void {
    Atomics.compareExchange(this.#fault, 0, faults.indexOf('store-full'), 0);
  }

  found(fault: StoreFault): void {
    if (fault === 'store-damaged') Atomics.store(this.#fault, 0, faults.indexOf(fault));
    else Atomics.compareExchange(this.#fault, 0, 0, faults.indexOf(fault));
  }

  fault(): StoreFault | null {
    return faults[Atomics.load(this.#fault, 0)] ?? null;
  }
}

import type { StoreFault } from '../model/error.ts';

/** By their number in the shared memory. */
const faults = [null, 'store-full', 'store-damaged'] as const satisfies (StoreFault | null)[];

/**
 * What all threads of a process know of the store without asking it. A number that says whether something was committed: it is
 * odd while a commit is under way. Looking at it costs nothing, so a page that is kept can be sent without a question to the
 * store. And what is wrong with the store as a whole, whichever thread found it.
 */
export class Commits {
  readonly memory: SharedArrayBuffer;
  readonly #count: Int32Array<SharedArrayBuffer>;
  readonly #fault: Int32Array<SharedArrayBuffer>;

  /** `memory` of another thread's Commits to share its numbers. */
  constructor(memory = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#count = new Int32Array(memory, 0, 1);
    this.#fault = new Int32Array(memory, Int32Array.BYTES_PER_ELEMENT, 1);
  }

  /** For the only writer. The number is even again when this returns or throws, and another than before. */
  around(commit: () => void): void {
    // Also from where a writing thread that died in the middle has left it.
    Atomics.or(this.#count, 0, 1);
    try {
      commit();
    } finally {
      Atomics.add(this.#count, 0, 1);
    }
  }

  /** The same number as before: nothing was committed in between. Null while something is. */
  state(): number | null {
    const count = Atomics.load(this.#count, 0);
    return count % 2 === 0 ? count : null;
  }

  /** The disk has room again. Damage stays: most of a damaged file may still be read and written. */
  hasRoom(): void {
    Atomics.compareExchange(this.#fault, 0, faults.indexOf('store-full'), 0);
  }

  /** Remembers what was found wrong. */
  found(fault: StoreFault): void {
    if (fault === 'store-damaged') Atomics.store(this.#fault, 0, faults.indexOf(fault));
    else Atomics.compareExchange(this.#fault, 0, 0, faults.indexOf(fault));
  }

  /** Null while nothing is known to be wrong. */
  fault(): StoreFault | null {
    return faults[Atomics.load(this.#fault, 0)] ?? null;
  }
}

/**
 * How the reading side hears that something was committed: a number in memory that all threads of a process share, odd while a
 * commit is under way. Looking at it costs nothing, so a page that is kept can be sent without asking the store.
 */
export class Commits {
  readonly memory: SharedArrayBuffer;
  readonly #count: Int32Array<SharedArrayBuffer>;

  /** `memory` of another thread's Commits to share its number. */
  constructor(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#count = new Int32Array(memory);
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
}

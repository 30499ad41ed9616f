import type { Observation } from '../../model/observation.ts';
import type { Pull } from '../store.ts';
import type { IncomingObservation } from './observation-rows.ts';

/** Rows per piece of a SeenSet: 8 KB, made when the first of them is seen. */
const PIECE_BITS = 65_536;

/** Row ids as a bitmap in pieces: 5 million rows are 625 KB, and ids may rise for ever. */
class SeenSet {
  readonly #pieces = new Map<number, Uint8Array>();

  has(id: number): boolean {
    const piece = this.#pieces.get(Math.floor(id / PIECE_BITS));
    const bit = id % PIECE_BITS;
    return piece !== undefined && ((piece[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  }

  /** False when it was there already. */
  add(id: number): boolean {
    const at = Math.floor(id / PIECE_BITS);
    let piece = this.#pieces.get(at);
    if (piece === undefined) {
      piece = new Uint8Array(PIECE_BITS / 8);
      this.#pieces.set(at, piece);
    }
    const bit = id % PIECE_BITS;
    const byte = piece[bit >> 3] ?? 0;
    if ((byte & (1 << (bit & 7))) !== 0) return false;
    piece[bit >> 3] = byte | (1 << (bit & 7));
    return true;
  }

  delete(id: number): void {
    const piece = this.#pieces.get(Math.floor(id / PIECE_BITS));
    const bit = id % PIECE_BITS;
    if (piece !== undefined) piece[bit >> 3] = (piece[bit >> 3] ?? 0) & ~(1 << (bit & 7));
  }
}

/** What one pull has seen of observations, or of objects, and how far the removal of the rest has come. */
export class Seen {
  readonly #ids = new SeenSet();
  #size = 0;
  /** Everything up to here was looked at by `removeUnseen`; null before it began. */
  #removedTo: string | null = null;
  #undo: { ids: number[]; removedTo: string | null } | null = null;

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  add(id: number): void {
    if (!this.#ids.add(id)) return;
    this.#size += 1;
    this.#undo?.ids.push(id);
  }

  get removedTo(): string | null {
    return this.#removedTo;
  }

  set removedTo(name: string | null) {
    this.#removedTo = name;
  }

  /** How many were marked. */
  get size(): number {
    return this.#size;
  }

  /** From here on changes can be taken back; a second call before the end changes nothing. */
  begin(): void {
    this.#undo ??= { ids: [], removedTo: this.#removedTo };
  }

  end(outcome: 'commit' | 'rollback'): void {
    if (outcome === 'rollback' && this.#undo !== null) {
      for (const id of this.#undo.ids) this.#ids.delete(id);
      this.#size -= this.#undo.ids.length;
      this.#removedTo = this.#undo.removedTo;
    }
    this.#undo = null;
  }
}

/** Marks live in memory only: a pull that a crash cuts has withdrawn nothing, and is simply repeated. */
export class SqlitePull implements Pull {
  readonly feed: string;
  readonly observations = new Seen();
  readonly objects = new Seen();
  /** What `confirm` answered last, as it was compared: most of it is kept next, and is fingerprinted only once. */
  compared: ReadonlyMap<Observation, IncomingObservation> = new Map();
  /** Its number among the pulls of its feed that refused rows; null before it refused one. */
  number: number | null = null;
  #undo: { number: number | null } | null = null;

  constructor(feed: string) {
    this.feed = feed;
  }

  begin(): void {
    this.observations.begin();
    this.objects.begin();
    this.#undo ??= { number: this.number };
  }

  end(outcome: 'commit' | 'rollback'): void {
    this.observations.end(outcome);
    this.objects.end(outcome);
    if (outcome === 'rollback' && this.#undo !== null) this.number = this.#undo.number;
    this.#undo = null;
  }
}

/** Makes a pull's marks part of the running transaction. Throws `internal` for a pull of another store. */
export type Touch = (pull: Pull) => SqlitePull;

import type { Entry } from '../model/entry.ts';
import { Utf8Buffer } from '../model/utf8-buffer.ts';
import { type RenderContext, renderEntry } from './render.ts';

/** Buffers of earlier writers, to be used again. A page of 1000 objects fits into one. */
const spare: Buffer[] = [];
const SPARE_BYTES = 1 << 21;
const MAX_SPARE = 4;

/**
 * Collects rendered objects as UTF-8, with commas between them, in a buffer that is used again. Joining the texts of a page and
 * encoding the result takes longer and leaves megabytes to the garbage collector (bench/render.ts).
 */
export class ListWriter {
  readonly #context: RenderContext;
  #list = new Utf8Buffer(spare.pop() ?? Buffer.allocUnsafeSlow(SPARE_BYTES));

  constructor(context: RenderContext) {
    this.#context = context;
  }

  add(entry: Entry): void {
    const text = renderEntry(entry, this.#context);
    this.#list.add(this.#list.length === 0 ? text : `,${text}`);
  }

  /** Returns the list between these two texts. The writer can't be used afterwards. */
  take(opening: string, closing: string): Buffer {
    const { buffer } = this.#list;
    const list = Buffer.concat([Buffer.from(opening), this.#list.bytes(), Buffer.from(closing)]);
    if (buffer.length === SPARE_BYTES && spare.length < MAX_SPARE) spare.push(buffer);
    this.#list = new Utf8Buffer(Buffer.alloc(0));
    return list;
  }
}

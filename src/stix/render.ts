import type { Entry, IndicatorEntry } from '../model/entry.ts';
import type { JsonText } from '../model/json.ts';
import { TextBytes } from '../model/text-bytes.ts';
import { type FieldRow, indicatorFields, keptMembers, type RenderContext, vulnerabilityFields } from './fields.ts';

/**
 * The JSON text of one STIX 2.1 object: an indicator or vulnerability from its columns (fields.ts), anything else as it came.
 * Written as text because nothing needs the object in between.
 */
export function renderEntry(entry: Entry, context: RenderContext): JsonText {
  if (entry.kind === 'object') return entry.raw;
  const { steps, end } = entry.type === 'cve' ? vulnerabilityPlan : indicatorPlan;
  let text = '';
  for (const step of steps) {
    const value = step.text(entry, context);
    text += value === null ? step.constants : step.opening + value;
  }
  return (text + end + keptMembers(entry.kept) + CLOSE) as JsonText;
}

const CLOSE = '}';

/** Memory that writers used before; a page of 1000 objects fits, and more of it is not worth keeping. */
const spare: Buffer[] = [];
const SPARE_BYTES = 1 << 21;
const MAX_SPARE = 4;

/**
 * Collects objects as UTF-8 with commas between them, one by one into memory that is used again: the text of a whole page would
 * be put together and then walked through piece by piece, and every megabyte that comes and goes makes V8 collect sooner.
 */
export class ListWriter {
  readonly #context: RenderContext;
  #list = new TextBytes(spare.pop() ?? Buffer.allocUnsafeSlow(SPARE_BYTES));

  constructor(context: RenderContext) {
    this.#context = context;
  }

  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const text = renderEntry(entry, this.#context);
      this.#list.add(this.#list.length === 0 ? text : `,${text}`);
    }
  }

  /** What was collected, between these texts. The writer is spent. */
  take(opening: string, closing: string): Buffer {
    const { buffer } = this.#list;
    const list = Buffer.concat([Buffer.from(opening), this.#list.bytes(), Buffer.from(closing)]);
    if (buffer.length === SPARE_BYTES && spare.length < MAX_SPARE) spare.push(buffer);
    this.#list = new TextBytes(Buffer.alloc(0));
    return list;
  }
}

/** One computed property, with what stands before it: the constants of the rows above it, then its own key. */
interface Step {
  constants: string;
  opening: string;
  text(entry: IndicatorEntry, context: RenderContext): string | null;
}

/** Folds what doesn't change between entries into the text before each value: fewer pieces to join per object. */
function plan(rows: readonly FieldRow[]): { steps: Step[]; end: string } {
  const steps: Step[] = [];
  let constants = '{';
  for (const row of rows) {
    const key = `${constants === '{' ? '' : ','}"${row.property}":`;
    if ('constant' in row) {
      constants += key + row.constant;
    } else if ('plain' in row) {
      steps.push({ constants, opening: `${constants}${key}"`, text: row.plain });
      constants = '"';
    } else {
      steps.push({ constants, opening: constants + key, text: row.text });
      constants = '';
    }
  }
  return { steps, end: constants };
}

const indicatorPlan = plan(indicatorFields);
const vulnerabilityPlan = plan(vulnerabilityFields);

import type { Entry, IndicatorEntry } from '../model/entry.ts';
import type { JsonText } from '../model/json.ts';
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

/** Where texts become bytes; nothing stays in it after a call. */
const scratch = Buffer.allocUnsafeSlow(1 << 20);
/** UTF-8 takes no more bytes for a UTF-16 code unit. */
const MAX_UNIT_BYTES = 3;

/**
 * Objects as UTF-8, a comma before each but the first. One by one into the same memory: the text of a whole page would be put
 * together and then walked through piece by piece, which takes nearly twice as long (measured).
 */
export function renderList(entries: readonly Entry[], context: RenderContext): Buffer {
  const full: Buffer[] = [];
  let at = 0;
  const flush = (): void => {
    full.push(Buffer.from(scratch.subarray(0, at)));
    at = 0;
  };
  let isFirst = true;
  for (const entry of entries) {
    const text = isFirst ? renderEntry(entry, context) : `,${renderEntry(entry, context)}`;
    isFirst = false;
    const most = text.length * MAX_UNIT_BYTES;
    if (most > scratch.length - at) flush();
    if (most > scratch.length) full.push(Buffer.from(text));
    else at += scratch.write(text, at);
  }
  flush();
  return full.length === 1 ? (full[0] as Buffer) : Buffer.concat(full);
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

import { stringify } from 'csv-stringify/sync';
import type { ObservableType } from '../model/observable.ts';
import { aboutOf } from './about.ts';
import { type LineEntry, lineOutput } from './lines.ts';
import type { Output } from './output.ts';

/** A threat intelligence file of Splunk Enterprise Security. */
interface Lookup {
  name: string;
  title: string;
  readers: string;
  types: readonly ObservableType[];
  /** The header, in Splunk's order. `description` and `weight` are filled in here, and what is not known stays empty. */
  columns: readonly string[];
  /** The cells that Splunk compares, by column; null where the value can't be written. */
  cellsOf(entry: LineEntry): Record<string, string> | null;
}

/** Splunk takes `*` for any characters. A spreadsheet would run what begins a formula. */
const STRANGE = /\*|^[\s=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/;

export function splunkLookup({ name, title, readers, types, columns, cellsOf }: Lookup): Output {
  return lineOutput({
    name,
    title,
    readers,
    mediaType: 'text/csv; charset=utf-8',
    extension: 'csv',
    comment: null,
    types,
    options: {},
    head: () => [columns.join(',')],
    linesOf(entry) {
      const cells = cellsOf(entry);
      if (cells === null || Object.values(cells).some((cell) => STRANGE.test(cell))) return null;
      const { description, source } = aboutOf(entry);
      const row = { description: description ?? source, weight: weightOf(entry), ...cells };
      return [stringify([row], { columns: [...columns], escape_formulas: true, record_delimiter: '\n', eof: false })];
    },
  });
}

/** Splunk's weights are 1 to 100. Where it is empty, that of the threat source holds. */
function weightOf({ confidence }: LineEntry): number | null {
  return confidence === null ? null : Math.max(1, confidence);
}

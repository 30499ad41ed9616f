import { delimiters, parseLine, parseLooseLine } from '../reading/csv-line.ts';
import { type Column, type Guess, guessFields, type Meaning, shareOf } from './columns.ts';

/** Rows that are looked at. */
const MAX_ROWS = 200;
/** Of the rows at least so many have as many cells as most. */
const EVEN = 0.7;

/** A table as text: its delimiter, where its header stands, and which column holds the values. Null for what is no table. */
export function guessTable(lines: readonly string[], meaning: Meaning): Guess | null {
  const isComment = (line: string): boolean => line.startsWith('#');
  const first = lines.findIndex((line) => !isComment(line));
  if (first === -1) return null;
  const header = lines[first - 1]?.replace(/^#+\s*/, '') ?? '';
  const rows = recordsOf(lines.slice(first).filter((line) => !isComment(line))).slice(0, MAX_ROWS);
  const guesses = Object.entries(delimiters).flatMap(([name, delimiter]) => {
    const table = readAs(delimiter, rows);
    const guess = table === null ? null : guessColumns(table, header, delimiter, meaning);
    return guess === null ? [] : [{ ...guess, delimiter: name, width: table?.[0]?.length ?? 0 }];
  });
  // The delimiter that makes most columns of a line cuts no value.
  const [best] = guesses.sort((a, b) => b.width - a.width);
  if (best === undefined) return null;
  const { delimiter, columns, fields } = best;
  const options = { ...(delimiter === 'comma' ? {} : { delimiter }), columns, fields };
  const where = { header: 'with a header', comment: 'with a header in a comment', none: 'without a header' };
  return { format: 'csv', options, why: `a table with ${delimiter} as delimiter, ${where[columns]}` };
}

/** A quoted cell may hold line breaks: a line whose quote is open goes on in the next. */
function recordsOf(lines: readonly string[]): string[] {
  const records: string[] = [];
  let isOpen = false;
  for (const line of lines) {
    if (isOpen) records.push(`${records.pop()} ${line}`);
    else records.push(line);
    if (line.split('"').length % 2 === 0) isOpen = !isOpen;
  }
  return records;
}

/** Null where lines differ in how many cells they have. */
function readAs(delimiter: string, rows: readonly string[]): string[][] | null {
  const table = rows.map((row) => cellsOf(row, delimiter));
  const widths = table.map((cells) => cells.length).sort((a, b) => a - b);
  const width = widths[Math.floor(widths.length / 2)] ?? 0;
  return width > 1 && shareOf(widths, (one) => one === width) >= EVEN ? table : null;
}

/** A line that is no record is one cell. */
function cellsOf(row: string, delimiter: string): string[] {
  const dialect = { delimiter, quote: '"', comment: '' };
  return parseLine(row, dialect) ?? parseLooseLine(row, dialect) ?? [row];
}

function guessColumns(table: readonly string[][], comment: string, delimiter: string, meaning: Meaning) {
  const [first = []] = table;
  const commented = cellsOf(comment, delimiter);
  const rest = table.slice(1);
  const isHeader =
    rest.length > 0 && first.every((cell) => /^[A-Za-z_][\w .()/-]*$/.test(cell) && !meaning.isValue(cell));
  const columns: 'header' | 'comment' | 'none' = isHeader
    ? 'header'
    : commented.length === first.length && new Set(commented).size === commented.length
      ? 'comment'
      : 'none';
  const names = { header: first, comment: commented, none: [] }[columns];
  const rows = isHeader ? rest : table;
  const cells = first.map((_, i): Column => {
    const name = names[i] ?? '';
    return { selector: name === '' ? i + 1 : name, name, cells: rows.map((row) => row[i] ?? '') };
  });
  const fields = guessFields(cells, meaning);
  return fields === null ? null : { columns, fields };
}

import { CsvError, type Options, parse } from 'csv-parse/sync';

/** How a table is written. */
export interface Dialect {
  delimiter: string;
  /** Null: quotes are ordinary characters. */
  quote: string | null;
  /** What begins a line that is no record; empty: nothing does. */
  comment: string;
}

/** Delimiters by the words that the configuration has for them. */
export const delimiters = { comma: ',', semicolon: ';', tab: '\t', pipe: '|' };

/** The fields of one line, such as a header in a comment; null where it is no record. */
export function parseLine(text: string, dialect: Dialect): string[] | null {
  return parseRecords([text], parserOptions(dialect))?.[0] ?? null;
}

/** The same, where quotes inside of a field are characters like others. */
export function parseLooseLine(text: string, dialect: Dialect): string[] | null {
  return parseRecords([text], relaxed(parserOptions(dialect)))?.[0] ?? null;
}

export function parserOptions({ delimiter, quote }: Dialect): Options {
  return {
    delimiter,
    quote: quote ?? false,
    escape: quote ?? '"',
    record_delimiter: '\n',
    // Some writers put a space between the comma and the quote.
    trim: true,
    relax_column_count: true,
  };
}

/** Quotes inside of fields are characters. What stands behind a closing quote is then text, so it can't be trimmed. */
export function relaxed(options: Options): Options {
  return { ...options, relax_quotes: true, trim: false, ltrim: true };
}

/** The records in texts of one each; null where one of them is at fault. */
export function parseRecords(texts: readonly string[], options: Options): string[][] | null {
  try {
    const records: string[][] = parse(texts.join('\n'), options);
    return records.length === texts.length ? records : null;
  } catch (error) {
    if (error instanceof CsvError) return null;
    throw error;
  }
}

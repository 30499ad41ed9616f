import Type, { type Static } from 'typebox';
import { GatewayError } from '../model/error.ts';
import { rowText } from '../stix/validate.ts';
import { type Columns, findColumns } from './csv/columns.ts';
import { readTable, type TablePart, type TableRecord } from './csv/records.ts';
import type { FeedFormat } from './feed.ts';
import { fieldOptions, listOf, type RowMaker, rowMaker } from './fields.ts';
import type { Found } from './reading/batches.ts';
import { type Dialect, delimiters, parseLine } from './reading/csv-line.ts';
import { plainText } from './reading/plain-text.ts';
import { type ByteStream, malformed } from './reading/stream.ts';
import { checkSource, readSource, type SourceOptions, sourceAccount, sourceDefaults, sourceOptions } from './source.ts';

const tableOptions = {
  delimiter: Type.Optional(
    Type.String({
      pattern: '^(?:comma|semicolon|tab|pipe|[^\\r\\n])$',
      'x-expects': 'comma, semicolon, tab, pipe or one character',
      description: 'Between two fields: comma, semicolon, tab, pipe or one character. Default: comma.',
    }),
  ),
  quote: Type.Optional(
    Type.String({
      pattern: '^(?:none|[^\\r\\n\\s])$',
      'x-expects': 'one character or none',
      description: 'Around a field that holds a delimiter or line breaks; doubled inside of it. Default: ".',
    }),
  ),
  comment: Type.Optional(
    Type.String({
      maxLength: 8,
      description: 'A line that begins with it is no row. Empty: every line is a row. Default: #.',
    }),
  ),
  columns: Type.Optional(
    Type.Union(
      [
        Type.Enum(['header', 'comment', 'none']),
        Type.Array(Type.String({ maxLength: 256 }), { minItems: 1, maxItems: 1000 }),
      ],
      {
        description:
          'Where the names of the columns stand. header: in the first line; comment: in the last comment before the first row; none: nowhere, and fields counts columns from 1; or the names themselves. Default: header.',
      },
    ),
  ),
};
const tableSchema = Type.Object({ ...tableOptions, ...fieldOptions });
type TableOptions = Static<typeof tableSchema>;
export type CsvOptions = SourceOptions & TableOptions;

const ACCEPT = 'text/csv, text/plain, */*;q=0.1';

/** A table as text, with a row a line: CSV (RFC 4180) in the many ways in which feeds write it. */
export const csv: FeedFormat<CsvOptions> = {
  name: 'csv',
  title: 'CSV, TSV and other tables, from a file, a watched directory or an address; plain, gzip, zip or tar',
  options: Type.Object({ ...sourceOptions, ...tableOptions, ...fieldOptions }, { additionalProperties: false }),
  defaults(options) {
    checkSource(options);
    checkTable(options);
    return sourceDefaults(options);
  },
  account: sourceAccount,
  read: (feed) => readSource(feed, ACCEPT, (document) => readRows(document, feed.options)),
};

/** Throws `config-invalid` for what the schema can't say. */
function checkTable(options: TableOptions): void {
  const { columns = 'header', fields = {} } = options;
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if (fields.value === undefined) refuse('fields names no column for value');
  const { delimiter, quote, comment } = dialectOf(options);
  if (delimiter === quote) refuse('delimiter and quote are the same');
  const named = Object.values(fields)
    .flatMap(listOf)
    .find((selector) => typeof selector === 'string');
  if (columns === 'none' && named !== undefined) refuse(`columns: none counts columns from 1, and ${named} is a name`);
  const found = Array.isArray(columns) ? findColumns(columns, fields) : null;
  if (typeof found === 'string') refuse(`columns: ${found}`);
  if (columns === 'comment' && comment === '') refuse('columns: comment needs a comment');
}

function isNamed(delimiter: string): delimiter is keyof typeof delimiters {
  return Object.hasOwn(delimiters, delimiter);
}

function dialectOf({ delimiter = 'comma', quote = '"', comment = '#' }: TableOptions): Dialect {
  return {
    delimiter: isNamed(delimiter) ? delimiters[delimiter] : delimiter,
    quote: quote === 'none' ? null : quote,
    comment,
  };
}

/** Throws `upstream-malformed` for what is no table, or has not the columns. */
async function* readRows(document: ByteStream, options: TableOptions): AsyncGenerator<Found[]> {
  const table = new TableRows(document.name, options);
  for await (const parts of readTable(plainText(document, 'CSV'), dialectOf(options))) {
    const found = parts.flatMap((part) => table.rowsOf(part));
    if (found.length > 0 || parts.length === 0) yield found;
  }
}

/** The rows of one table, whose columns are known when its first record comes. */
class TableRows {
  readonly #name: string;
  readonly #options: TableOptions;
  readonly #names: NonNullable<TableOptions['columns']>;
  #lastComment: string | null = null;
  #columns: Columns | null = null;
  #makeRows: RowMaker = () => [];

  constructor(name: string, options: TableOptions) {
    this.#name = name;
    this.#options = options;
    this.#names = options.columns ?? 'header';
  }

  rowsOf(part: TablePart): Found[] {
    if ('comment' in part) {
      this.#lastComment = part.comment;
      return [];
    }
    const { text, bytes } = part;
    const fields = 'fields' in part ? part.fields : null;
    if (this.#columns === null) {
      this.#columns = this.#readHeader(fields, text);
      this.#makeRows = rowMaker({ ...this.#options, fields: this.#columns.fields });
      if (this.#names === 'header') return [];
    }
    if ('refusal' in part) return [{ rejection: { ...part.refusal, row: rowText(text) }, bytes }];
    const detail = countFault(part, this.#columns);
    if (detail !== null) return [{ rejection: { reason: 'unreadable-row', detail, row: rowText(text) }, bytes }];
    const rows = this.#makeRows((column) => part.fields[Number(column) - 1]);
    return rows.map((item) => ({ item, bytes: bytes / rows.length }));
  }

  #readHeader(first: readonly string[] | null, text: string): Columns {
    const names = this.#names === 'none' ? null : this.#namesOf(first);
    if (names?.length === 0)
      throw malformed(this.#name, 'CSV', 'the line with the names of its columns is missing', text);
    const columns = findColumns(names, this.#options.fields ?? {});
    if (typeof columns === 'string') throw malformed(this.#name, 'CSV', columns, text);
    return columns;
  }

  /** Empty where they are not where they should be. */
  #namesOf(first: readonly string[] | null): readonly string[] {
    if (Array.isArray(this.#names)) return this.#names;
    if (this.#names === 'header') return first ?? [];
    const dialect = dialectOf(this.#options);
    let line = this.#lastComment ?? '';
    while (line.startsWith(dialect.comment)) line = line.slice(dialect.comment.length);
    return parseLine(line, dialect) ?? [];
  }
}

/** A row with more fields than names has shifted; one without a column that is read, or cut inside of one, lacks what it says. */
function countFault({ fields, isEnded }: TableRecord, { least, most }: Columns): string | null {
  const { length } = fields;
  if (length > most && fields.slice(most).some((field) => field !== '')) {
    return `${length} fields in a table of ${most} columns`;
  }
  if (length < least) return `${length} of the ${least} fields that it needs`;
  if (!isEnded && length === least && length < most) return 'the table stops in this row';
  return null;
}

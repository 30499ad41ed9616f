import Type, { type Static } from 'typebox';
import { eventLoop } from '../model/turns.ts';
import { rowText } from '../stix/validate.ts';
import type { FeedFormat } from './feed.ts';
import { fieldOptions } from './fields.ts';
import type { Found } from './reading/batches.ts';
import { type Line, readLines, withLineFeeds } from './reading/lines.ts';
import { plainText } from './reading/plain-text.ts';
import type { ByteStream } from './reading/stream.ts';
import { checkSource, readSource, sourceAccount, sourceDefaults, sourceOptions } from './source.ts';
import { commentStripper, type StripComment } from './text/comments.ts';
import { layoutOptions, lineReader } from './text/layout.ts';
import type { ReadLine } from './text/line.ts';

const textSchema = Type.Object(
  {
    ...sourceOptions,
    ...layoutOptions,
    comments: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        maxItems: 32,
        description:
          'What a comment begins with, at the beginning of a line or, without pattern, behind a space. Default: #, ; and //, and with layout adblock: ! and # with a space.',
      }),
    ),
    skip: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 0,
      description:
        'So many lines are left out at the beginning, without counting comments and empty lines: a heading is no row.',
    }),
    ...fieldOptions,
  },
  { additionalProperties: false },
);
type TextOptions = Static<typeof textSchema>;

/** A list in text, whose lines are values, tokens, matches of an expression, or rules of a hosts file or an ad blocker. */
export const text: FeedFormat<TextOptions> = {
  name: 'text',
  title: 'A list of lines, from an address, a file or a watched directory; plain, gzip, zip or tar',
  options: textSchema,
  defaults(options) {
    checkSource(options);
    lineReader(options);
    return sourceDefaults(options);
  },
  account: sourceAccount,
  read: (feed) => readSource(feed, 'text/plain, */*;q=0.5', (document) => readList(document, feed.options)),
};

/** Lines are read in pieces of so many characters, so that an expression that takes long holds up nothing else. */
const PIECE = 16_384;
/** Most characters of a line; no value is longer. */
const MAX_LINE = 8192;

async function* readList(document: ByteStream, options: TextOptions): AsyncGenerator<Found[]> {
  const reader = new ListReader(options);
  for await (const lines of readLines(withLineFeeds(plainText(document, 'list')))) {
    const found: Found[] = [];
    let size = 0;
    for (const line of lines) {
      reader.read(line, found);
      size += line.text?.length ?? 0;
      if (size < PIECE || options.pattern === undefined) continue;
      size = 0;
      await eventLoop.next();
    }
    if (found.length > 0 || lines.length === 0) yield found;
  }
}

/** Reads the lines of one document. */
class ListReader {
  readonly #strip: StripComment;
  readonly #readLine: ReadLine;
  #skip: number;

  constructor(options: TextOptions) {
    const { layout, pattern, comments, skip } = options;
    const isAdblock = layout === 'adblock';
    this.#strip = commentStripper(
      comments ?? (isAdblock ? ['!', '# '] : ['#', ';', '//']),
      pattern === undefined && !isAdblock,
    );
    this.#readLine = lineReader(options);
    this.#skip = skip;
  }

  read({ number, text, bytes }: Line, found: Found[]): void {
    const line = this.#strip(text?.trim() ?? '');
    if (text !== null && line === '') return;
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (text === null || line.length > MAX_LINE) {
      const detail = `line ${number} is longer than ${MAX_LINE} characters`;
      found.push({ rejection: { reason: 'too-long', detail, row: rowText(line) }, bytes });
      return;
    }
    const content = this.#readLine(line);
    if (content === null) return;
    for (const each of content) {
      if ('value' in each) found.push({ item: each, bytes: bytes / content.length });
      else found.push({ rejection: { ...each, row: rowText(line) }, bytes: bytes / content.length });
    }
  }
}

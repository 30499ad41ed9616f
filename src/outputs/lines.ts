import Type, { type TProperties } from 'typebox';
import type { IndicatorEntry } from '../model/entry.ts';
import type { ObservableType } from '../model/observable.ts';
import { formatMillis } from '../model/timestamp.ts';
import { indicatorsOf } from './ioc.ts';
import type { Output, OutputRequest } from './output.ts';
import { leftOutOf, leftOutText } from './tally.ts';

/** A format that writes each value in a line, or in a few. */
export interface LineFormat<Options>
  extends Pick<Output, 'name' | 'title'>,
    Partial<Pick<Output, 'mediaType' | 'extension'>> {
  /** What its readers take, and what they make of it, in one line for the docs. */
  readers: string;
  /** How a comment begins; null: its readers know none. */
  comment: string | null;
  /** Are there comments unless a reader says otherwise? */
  isCommented?: boolean;
  /** Types that it can hold; null: all. */
  types: readonly ObservableType[] | null;
  /** As `LineRules` has it. */
  isUndivided?: boolean;
  /** Its own options, beside `comments`. */
  options: TProperties;
  /** The lines before all others. */
  head?(request: OutputRequest<Options>): readonly string[];
  /** The lines of an entry; null where its value can't be written. Whatever they hold, no line breaks the document. */
  linesOf(entry: LineEntry, options: Options): readonly string[] | null;
}

/** What a line can say. A merged network has no more than this. */
export type LineEntry = Pick<IndicatorEntry, 'type' | 'value' | 'confidence' | 'sources' | 'description'>;

/**
 * Makes the output of a line format. What no format needs to think of is done here: comments, pages, the maximum, the line of an empty
 * document, and values that would begin a new line or a comment, which are left out and counted.
 */
export function lineOutput<Options = unknown>(format: LineFormat<Options>): Output<Options & { comments?: boolean }> {
  const { name, title, readers, comment, types, isCommented = true, isUndivided = false } = format;
  const { mediaType = 'text/plain; charset=utf-8', extension = 'txt' } = format;
  return {
    name,
    title,
    readers,
    mediaType,
    aliases: [],
    extension,
    options: Type.Object(
      { ...(comment === null ? {} : { comments: commentsOption(isCommented) }), ...format.options },
      { additionalProperties: false },
    ),
    expressesObjects: false,
    // A value alone can't say that it is withdrawn.
    isAppendable: false,
    isWhole: true,
    lines: { comment, isUndivided },
    needs: () => (types === null ? {} : { types }),
    write: (request) => writeLines(format, request),
  };
}

function commentsOption(isUsual: boolean) {
  return Type.Boolean({
    default: isUsual,
    description:
      'lines that are comments: the collection, its TLP and the time; the credits that feeds ask for; what is left out.',
  });
}

async function* writeLines<Options>(
  { comment, head, linesOf }: LineFormat<Options>,
  request: OutputRequest<Options & { comments?: boolean }>,
): AsyncGenerator<string> {
  const { slices, options, tally, page, selection, emptyLine } = request;
  const mark = options.comments === true ? comment : null;
  const first = page?.skip ?? 0;
  const end = Math.min(first + (page?.take ?? Number.POSITIVE_INFINITY), selection.maximum ?? Number.POSITIVE_INFINITY);
  let isEmpty = true;
  if (mark !== null)
    yield headingOf(request)
      .map((text) => `${mark} ${inOneLine(text)}\n`)
      .join('');
  yield (head?.(request) ?? []).map((line) => `${line}\n`).join('');
  for await (const slice of slices) {
    let text = '';
    for (const entry of indicatorsOf(slice)) {
      const lines = linesOf(entry, options);
      if (lines === null || !lines.every((line) => isOneLine(line, mark))) {
        tally.notWritable += 1;
        continue;
      }
      for (const line of lines) {
        if (tally.total >= first && tally.total < end) text += `${line}\n`;
        tally.total += 1;
      }
    }
    if (text === '') continue;
    isEmpty = false;
    yield text;
  }
  if (isEmpty && emptyLine !== undefined) yield `${emptyLine}\n`;
  const leftOut = leftOutText(leftOutOf(tally, selection));
  if (mark !== null && leftOut !== null) yield `${mark} ${leftOut}\n`;
}

function headingOf({ collection: { alias, title, tlp }, at, credits = [] }: OutputRequest): string[] {
  return [`${title} (${alias}), TLP:${tlp.toUpperCase()}, ${formatMillis(at)}`, ...credits];
}

/** Every control character but the tab, and what some readers take for the end of a line. */
const BREAK = /[^\P{Cc}\t]|[\u2028\u2029]/u;

function isOneLine(line: string, mark: string | null): boolean {
  return !BREAK.test(line) && line.isWellFormed() && (mark === null || !line.trimStart().startsWith(mark));
}

function inOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ');
}

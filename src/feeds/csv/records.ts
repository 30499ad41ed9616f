import type { Options } from 'csv-parse/sync';
import type { Rejection } from '../../model/observation.ts';
import { eventLoop } from '../../model/turns.ts';
import { type Dialect, parseRecords, parserOptions, relaxed } from '../reading/csv-line.ts';
import { type Line, readLines } from '../reading/lines.ts';

/** A record, a comment, or a text that is no record, with the reason. */
export type TablePart = TableRecord | (Text & { comment: string }) | (Text & { refusal: Omit<Rejection, 'row'> });
export type TableRecord = Text & { fields: string[] };

interface Text {
  /** Without its last line break; empty where it is longer than a line may be. */
  text: string;
  bytes: number;
  /** A line break ends it. The last line of a text that was cut has none. */
  isEnded: boolean;
}

/** Most characters of a record. */
export const MAX_RECORD = 256 * 1024;
/** Most lines of a record: line breaks may stand in quotes. */
export const MAX_RECORD_LINES = 100;

/** Records that are parsed at once, as long as none of them is at fault. */
const BLOCK_RECORDS = 200;
/** What a call of the parser costs beside its characters, as a number of them (measured: 9 us a call, 20 ns a character). */
const CALL_COST = 450;
/** Characters that are parsed in one turn of the event loop: 20 ms. */
const TURN = 1024 * 1024;

/**
 * Reads the records of a table, many at once. An empty list says that the upstream pauses.
 *
 * A record ends at the first end of a line up to which the number of quotes is even. So csv-parse is given whole records only,
 * and a quote that nobody closed costs its own line and no more: where the lines that belong together by this rule are not one
 * record, the first of them is read alone, and reading goes on behind it.
 */
export async function* readTable(body: AsyncIterable<Uint8Array>, dialect: Dialect): AsyncGenerator<TablePart[]> {
  const table = new Table(dialect);
  for await (const lines of readLines(body)) {
    if (lines.length === 0) yield [];
    else yield* table.read(lines, false);
  }
  yield* table.read([], true);
}

/** Lines that should be one record. */
interface Frame {
  lines: number;
  text: string;
}

class Table {
  readonly #dialect: Dialect;
  readonly #options: Options;
  #lines: readonly Line[] = [];
  /** The first of `#lines` that is not read. */
  #at = 0;
  /** Records that are parsed one by one, because one of them is at fault. */
  #suspects = 0;
  /** Fields of the first record. Null before it. */
  #width: number | null = null;
  #spent = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#options = parserOptions(dialect);
  }

  /** Reads all that is whole and keeps the rest for the next call; all is whole at the end. */
  async *read(lines: readonly Line[], isEnd: boolean): AsyncGenerator<TablePart[]> {
    this.#lines = [...this.#lines.slice(this.#at), ...lines];
    this.#at = 0;
    let found: TablePart[] = [];
    for (;;) {
      this.#takeOthers(found);
      const frames = this.#nextFrames(isEnd);
      if (frames.length === 0) break;
      this.#takeRecords(frames, found);
      if (this.#spent < TURN) continue;
      yield found;
      [found, this.#spent] = [[], 0];
      await eventLoop.next();
    }
    if (found.length > 0) yield found;
  }

  /** Comments, blank lines and lines that are too long, up to the next record. */
  #takeOthers(found: TablePart[]): void {
    for (let line = this.#lines[this.#at]; line !== undefined; line = this.#lines[this.#at]) {
      const text = line.text ?? '';
      const kind = this.#kindOf(line.text);
      if (kind === 'record') return;
      if (kind === 'blank') this.#at += 1;
      else if (kind === 'comment') found.push(this.#take({ lines: 1, text }, { comment: text.trim() }));
      else {
        const detail = `a record of more than ${MAX_RECORD} characters`;
        found.push(this.#take({ lines: 1, text }, { refusal: { reason: 'too-long', detail } }));
      }
    }
  }

  #kindOf(text: string | null): 'record' | 'comment' | 'blank' | 'too-long' {
    if (text === null || text.length > MAX_RECORD) return 'too-long';
    const start = text.trimStart();
    if (start === '') return 'blank';
    const { comment } = this.#dialect;
    return comment !== '' && start.startsWith(comment) ? 'comment' : 'record';
  }

  /** The records that follow each other from here, as far as they are whole and are parsed at once. */
  #nextFrames(isEnd: boolean): Frame[] {
    const frames: Frame[] = [];
    let size = 0;
    for (let at = this.#at; frames.length < (this.#suspects > 0 ? 1 : BLOCK_RECORDS) && size < MAX_RECORD; ) {
      const text = this.#lines[at]?.text ?? null;
      if (text === null || this.#kindOf(text) !== 'record') break;
      const lines = this.#isOdd(text) ? this.#linesOfRecord(at, isEnd) : 1;
      if (lines === null) break;
      frames.push({ lines, text: lines === 1 ? text : joined(this.#lines.slice(at, at + lines)) });
      size += text.length;
      at += lines;
    }
    return frames;
  }

  /** Up to the next line with an odd number of quotes; 1 where none is near, null where more lines have to come first. */
  #linesOfRecord(from: number, isEnd: boolean): number | null {
    let size = 0;
    for (let lines = 1; lines <= MAX_RECORD_LINES; lines += 1) {
      const line = this.#lines[from + lines - 1];
      if (line === undefined) return isEnd ? 1 : null;
      if (line.text === null) return 1;
      size += line.text.length + 1;
      if (size > MAX_RECORD) return 1;
      if (lines > 1 && this.#isOdd(line.text)) return lines;
    }
    return 1;
  }

  #isOdd(text: string): boolean {
    const { quote } = this.#dialect;
    if (quote === null) return false;
    let isOdd = false;
    for (let at = text.indexOf(quote); at !== -1; at = text.indexOf(quote, at + 1)) isOdd = !isOdd;
    return isOdd;
  }

  #takeRecords(frames: Frame[], found: TablePart[]): void {
    if (this.#suspects > 0) this.#suspects -= 1;
    const records = this.#parse(frames, this.#options);
    if (records !== null) {
      for (const [i, fields] of records.entries()) found.push(this.#take(frames[i] as Frame, { fields }));
    } else if (frames.length > 1) this.#suspects = frames.length;
    else found.push(this.#takeLine());
  }

  /** The first line alone. A quote inside of a field is then a character like others. */
  #takeLine(): TablePart {
    const line = { lines: 1, text: this.#lines[this.#at]?.text ?? '' };
    const [fields] = this.#parse([line], relaxed(this.#options)) ?? [];
    if (fields !== undefined) return this.#take(line, { fields });
    return this.#take(line, { refusal: { reason: 'unreadable-row', detail: 'a quote is not closed' } });
  }

  #parse(frames: Frame[], options: Options): string[][] | null {
    const texts = frames.map(({ text }) => text);
    this.#spent += texts.reduce((sum, { length }) => sum + length, CALL_COST);
    const records = parseRecords(texts, options);
    this.#width ??= records?.[0]?.length ?? null;
    // Two open quotes in two lines look like one record; its fields are not as many then.
    const isSound = records?.every(({ length }, i) => frames[i]?.lines === 1 || length === this.#width) ?? false;
    return isSound ? records : null;
  }

  #take<Content>({ lines, text }: Frame, content: Content): Content & Text {
    const taken = this.#lines.slice(this.#at, this.#at + lines);
    this.#at += lines;
    const bytes = taken.reduce((sum, line) => sum + line.bytes, 0);
    return { ...content, text, bytes, isEnded: taken.at(-1)?.isEnded ?? true };
  }
}

function joined(lines: readonly Line[]): string {
  return lines.map(({ text }) => text).join('\n');
}

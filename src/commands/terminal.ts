import type { Micros, Millis } from '../model/clock.ts';
import { MICROS_PER_SECOND } from '../model/clock.ts';
import { formatMillis } from '../model/timestamp.ts';

/** Output, signals and environment of a command. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** `out` is a terminal. */
  isTerminal: boolean;
  /** `err` is a terminal: a line there may be written over. Absent: it is none. */
  isErrTerminal?: boolean;
  env: Record<string, string | undefined>;
  /** Starts listening for SIGINT and SIGTERM: aborts at the first. */
  interrupted(): AbortSignal;
  /** Lets time pass, in milliseconds. */
  pause(ms: Millis): Promise<void>;
}

/** What upstreams and clients sent must not steer the terminal: controls and direction marks are written out. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** Columns of text under their titles, two spaces apart; a table without rows is one line that says so. */
export function formatTable(titles: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  if (rows.length === 0) return '(none)\n';
  const cells = rows.map((row) => row.map((cell) => printable(String(cell))));
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const isNumber = titles.map((_, i) => rows.every((row) => typeof row[i] === 'number'));
  const lines = [titles, ...cells].map((row) =>
    row.map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  '),
  );
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** For JSON: RFC 3339 in UTC, as everywhere in Sluice. */
export function timeText(at: Micros | null): string | null {
  return at === null ? null : formatMillis(at);
}

/** `4m ago`, `in 2h`, `now`, `-`: for people. */
export function ageText(at: Micros | null, now: Micros): string {
  if (at === null) return '-';
  const seconds = Math.round((now - at) / MICROS_PER_SECOND);
  const span = spanText(Math.abs(seconds));
  return seconds === 0 ? 'now' : seconds > 0 ? `${span} ago` : `in ${span}`;
}

function spanText(seconds: number): string {
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** Cuts long text for a column. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

/** How often a person is told how far something has come. */
const PROGRESS_MS: Millis = 500;

/** Waits for `work`, and shows a line on `err` that says how far it has come, and that goes when it is over. */
export async function withProgress<T>(
  { err, pause }: Pick<Terminal, 'err' | 'pause'>,
  work: Promise<T>,
  lineOf: () => Promise<string | null>,
): Promise<T> {
  const over = work.then(
    () => true,
    () => true,
  );
  let isOver = false;
  while (!isOver) {
    isOver = await Promise.race([over, pause(PROGRESS_MS).then(() => false)]);
    const line = isOver ? null : await lineOf().catch(() => null);
    if (line !== null) err(`\r\u001b[K${line}`);
  }
  err('\r\u001b[K');
  return work;
}

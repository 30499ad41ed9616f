import type { Command } from 'commander';
import type { RejectionReport } from '../model/control.ts';
import { rejectionsJson } from '../status/json.ts';
import { type AnswerOptions, type CommandContext, wholeNumber, withAnswer, withControl } from './context.ts';
import { humanServed } from './served.ts';
import { cut, formatJson, formatTable, timeText } from './terminal.ts';

export function addRejections(program: Command, context: CommandContext): void {
  withAnswer(program.command('rejections'))
    .description('show which rows of a feed were refused, which are held and not served, and why')
    .argument('<feed>', 'name of the feed in the configuration')
    .option('--limit <n>', 'rows to show of each kind, the newest refused first', wholeNumber(0, 10_000), 20)
    .action(async (feed: string, options: AnswerOptions & { limit: number }) => {
      const report = await withControl(context, options, (control) => control.rejections(feed, options.limit));
      context.terminal.out(options.json ? formatJson(rejectionsJson(feed, report)) : humanReport(feed, report));
    });
}

function humanReport(feed: string, { counts, rows, served, leftOut }: RejectionReport): string {
  const shown = rows.map((row) => [
    timeText(row.lastAt) ?? '',
    row.count,
    row.isNote ? `${row.reason} (note)` : row.reason,
    cut(row.detail, 100),
    cut(row.row, 200),
  ]);
  const unserved = leftOut.map(({ reason, kind, value, collections }) => [
    reason,
    kind,
    cut(value, 200),
    collections.join(', '),
  ]);
  const countsOf = (areNotes: boolean) =>
    counts.filter(({ isNote }) => isNote === areNotes).map(({ reason, count }) => [reason, count]);
  const notes = countsOf(true);
  const parts = [`Refused\n${formatTable(['REASON', 'ROWS'], countsOf(false))}`];
  if (notes.length > 0) parts.push(`Notes, on rows that were taken\n${formatTable(['REASON', 'NOTES'], notes)}`);
  if (rows.length > 0) parts.push(formatTable(['LAST', 'TIMES', 'REASON', 'DETAIL', 'ROW'], shown));
  parts.push(`Held, and served or left out\n${humanServed([{ feed, served }])}\n`);
  if (leftOut.length > 0) parts.push(formatTable(['REASON', 'TYPE', 'VALUE', 'LEFT OUT OF'], unserved));
  return parts.join('\n');
}

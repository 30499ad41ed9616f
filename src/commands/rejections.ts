import type { Command } from 'commander';
import { type AnswerOptions, type CommandContext, wholeNumber, withAnswer, withControl } from './context.ts';
import { cut, formatJson, formatTable, timeText } from './terminal.ts';

export function addRejections(program: Command, context: CommandContext): void {
  withAnswer(program.command('rejections'))
    .description('show which rows of a feed were not taken, and why')
    .argument('<feed>', 'name of the feed in the configuration')
    .option('--limit <n>', 'rows to show, newest first', wholeNumber(0, 10_000), 20)
    .action(async (feed: string, options: AnswerOptions & { limit: number }) => {
      const { counts, rows } = await withControl(context, options, (control) =>
        control.rejections(feed, options.limit),
      );
      if (options.json) {
        const wire = rows.map(({ firstAt, lastAt, ...row }) => ({
          ...row,
          first_at: timeText(firstAt),
          last_at: timeText(lastAt),
        }));
        return context.terminal.out(formatJson({ feed, counts, rows: wire }));
      }
      const countRows = counts.map(({ reason, count }) => [reason, count]);
      context.terminal.out(formatTable(['REASON', 'ROWS'], countRows));
      if (rows.length === 0) return;
      const shown = rows.map((row) => [
        timeText(row.lastAt) ?? '',
        row.count,
        row.reason,
        cut(row.detail, 100),
        cut(row.row, 200),
      ]);
      context.terminal.out(`\n${formatTable(['LAST', 'TIMES', 'REASON', 'DETAIL', 'ROW'], shown)}`);
    });
}

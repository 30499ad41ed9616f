import type { Command } from 'commander';
import type { PollReport } from '../model/control.ts';
import { errorText, GatewayError } from '../model/error.ts';
import { type AnswerOptions, type CommandContext, withAnswer, withControl } from './context.ts';
import { formatJson, printable } from './terminal.ts';

export function addPoll(program: Command, context: CommandContext): void {
  withAnswer(program.command('poll'))
    .description("poll a feed now, as far as its account's budget allows")
    .argument('<feed>', 'name of the feed in the configuration')
    .action(async (feed: string, options: AnswerOptions) => {
      const report = await withControl(context, options, (control) => control.poll(feed), { mayMake: true });
      context.terminal.out(options.json ? formatJson(report) : `${printable(sentenceFor(report))}\n`);
      if (report.outcome === 'whole' || report.outcome === 'unchanged') return;
      const why =
        (report.error === null ? null : errorText(report.error)) ??
        'the pull was held back because it would withdraw too much';
      throw new GatewayError(
        report.error?.code ?? 'upstream-failed',
        `The poll of ${report.feed} did not end well: ${why}`,
      );
    });
}

function sentenceFor({ feed, outcome, requests, accepted, rejected, entries, withdrawn }: PollReport): string {
  const outcomes = { whole: 'polled', unchanged: 'has nothing new', failed: 'failed', 'held-back': 'was held back' };
  return (
    `${feed} ${outcomes[outcome]}: requests ${requests}, rows taken ${accepted}, rejected ${rejected}, ` +
    `journal entries ${entries}, of them withdrawals ${withdrawn}.`
  );
}

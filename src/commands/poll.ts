import type { Command } from 'commander';
import type { PollReport } from '../model/control.ts';
import { errorText, GatewayError } from '../model/error.ts';
import { pollJson } from '../status/json.ts';
import { type AnswerOptions, type CommandContext, whileReading, withAnswer, withControl } from './context.ts';
import { formatJson, printable } from './terminal.ts';

export function addPoll(program: Command, context: CommandContext): void {
  withAnswer(program.command('poll'))
    .description("poll a feed now, as far as its account's budget allows")
    .argument('<feed>', 'name of the feed in the configuration')
    .option('--accept-shrink', 'this once, take a snapshot whatever its size: what it no longer holds is withdrawn')
    .action(async (feed: string, options: AnswerOptions & { acceptShrink?: true }) => {
      const isForced = options.acceptShrink === true;
      const report = await withControl(
        context,
        options,
        (control) => {
          const polled = isForced ? control.acceptShrink(feed) : control.poll(feed);
          return whileReading(context, options, control, feed, polled);
        },
        { mayMake: true },
      );
      context.terminal.out(options.json ? formatJson(pollJson(report)) : `${printable(sentenceFor(report))}\n`);
      if (report.outcome === 'whole' || report.outcome === 'unchanged') return;
      const why =
        (report.error === null ? null : errorText(report.error)) ??
        'the pull was held back because it would withdraw too much';
      const advice =
        (report.error?.heldBack?.withdrawn ?? 0) > 0
          ? ` If it is right, sluice poll ${feed} --accept-shrink takes it.`
          : '';
      throw new GatewayError(
        report.error?.code ?? 'upstream-failed',
        `The poll of ${report.feed} did not end well: ${why}${advice}`,
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

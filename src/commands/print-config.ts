import type { Command } from 'commander';
import { parse } from 'yaml';
import { type AnswerOptions, type CommandContext, loadFile, withAnswer } from './context.ts';
import { formatJson } from './terminal.ts';

export function addPrintConfig(program: Command, context: CommandContext): void {
  withAnswer(program.command('print-config'))
    .description('print the configuration as it counts: defaults filled in, secrets only as references')
    .action(async (options: AnswerOptions) => {
      const { effective } = await loadFile(context, options);
      context.terminal.out(options.json ? formatJson(parse(effective)) : effective);
    });
}

import type { Command } from 'commander';
import { problemsOf } from '../config/problem.ts';
import { type AnswerOptions, type CommandContext, loadFile, warningLine, withAnswer } from './context.ts';
import { formatJson } from './terminal.ts';

export function addCheckConfig(program: Command, context: CommandContext): void {
  withAnswer(program.command('check-config'))
    .description('check the configuration and name everything that is wrong with it')
    .action(async (options: AnswerOptions) => {
      const { terminal } = context;
      try {
        const { config, warnings, file } = await loadFile(context, options);
        if (options.json) return terminal.out(formatJson({ valid: true, problems: [], warnings }));
        for (const warning of warnings) terminal.err(warningLine(file, warning));
        const idle = config.idleFeeds.length === 0 ? '' : ` (and ${config.idleFeeds.length} left out)`;
        terminal.out(
          `The configuration is valid: feeds ${config.feeds.length}${idle}, pools ${config.pools.length}, ` +
            `collections ${config.collections.length}.\n`,
        );
      } catch (error) {
        const problems = problemsOf(error);
        if (options.json && problems.length > 0) terminal.out(formatJson({ valid: false, problems, warnings: [] }));
        throw error;
      }
    });
}

import type { Command } from 'commander';
import { type CommandContext, type ConfigOption, loadFile, warningLine, withConfig } from './context.ts';

export function addServe(program: Command, context: CommandContext): void {
  withConfig(program.command('serve'))
    .description('run the gateway until it is interrupted')
    .option('--data <dir>', 'data directory, instead of the one in the configuration')
    .option('--listen <host:port>', 'where to listen, instead of the address in the configuration')
    .action(async (options: ConfigOption & { data?: string; listen?: string }) => {
      const { terminal } = context;
      const loaded = await loadFile(context, options, { data: options.data, listen: options.listen });
      for (const warning of loaded.warnings) terminal.err(warningLine(options.config ?? 'sluice.yaml', warning));
      await context.gateway.serve(loaded, {
        say: (line) => terminal.out(`${line}\n`),
        isTerminal: terminal.isTerminal,
        signal: terminal.interrupted(),
      });
    });
}

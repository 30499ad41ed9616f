import { type Command, Option } from 'commander';
import { type CommandContext, type ConfigOption, loadFile, warningLine, withConfig } from './context.ts';

export function addServe(program: Command, context: CommandContext): void {
  withConfig(program.command('serve'))
    .description('run the gateway until it is interrupted')
    .addOption(
      new Option('--listen <host:port>', 'where to listen, instead of the address in the configuration').env(
        'SLUICE_LISTEN',
      ),
    )
    .action(async (options: ConfigOption & { listen?: string }) => {
      const { terminal } = context;
      const loaded = await loadFile(context, options, { listen: options.listen });
      for (const warning of loaded.warnings) terminal.err(warningLine(loaded.file, warning));
      await context.gateway.serve(loaded, {
        say: (line) => terminal.out(`${line}\n`),
        isTerminal: terminal.isTerminal,
        signal: terminal.interrupted(),
      });
    });
}

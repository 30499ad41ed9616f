import type { Command } from 'commander';
import type { Control } from '../control/verbs.ts';
import type { DeliveryReport, SetupReport } from '../model/control.ts';
import { deadLettersJson } from '../status/json.ts';
import { type AnswerOptions, type CommandContext, wholeNumber, withAnswer, withControl } from './context.ts';
import { cut, formatJson, formatTable, printable, withProgress } from './terminal.ts';

export function addSink(program: Command, context: CommandContext): void {
  const sink = program
    .command('sink')
    .description('where entries are pushed: setup, failed, retry, rebuild')
    .helpCommand(false);
  const { terminal } = context;

  withAnswer(sink.command('setup'))
    .description('put in place what a target needs: templates, index, pipeline')
    .argument('<name>', 'name of the sink in the configuration')
    .option('--dry-run', 'only show the requests')
    .action(async (name: string, options: AnswerOptions & { dryRun?: boolean }) => {
      const steps = await withControl(context, options, (control) => control.setUpSink(name, options.dryRun ?? false), {
        mayMake: true,
      });
      terminal.out(options.json ? formatJson(steps) : steps.map(stepText).join(''));
    });

  withAnswer(sink.command('failed'))
    .description('show what a target refused for good, with its reason')
    .argument('<name>', 'name of the sink')
    .option('--limit <n>', 'how many', wholeNumber(1, 10_000), 100)
    .action(async (name: string, options: AnswerOptions & { limit: number }) => {
      const letters = await withControl(context, options, (control) => control.deadLetters(name, options.limit));
      const wire = deadLettersJson(letters);
      if (options.json) return terminal.out(formatJson(wire));
      const rows = wire.map((row) => [row.collection, row.object_id, row.attempts, row.at ?? '', cut(row.reason, 120)]);
      terminal.out(formatTable(['COLLECTION', 'OBJECT', 'ATTEMPTS', 'LAST', 'REASON'], rows));
    });

  withAnswer(sink.command('retry'))
    .description('give a target once more what it refused')
    .argument('<name>', 'name of the sink')
    .action(async (name: string, options: AnswerOptions) => {
      const report = await withControl(context, options, (control) => control.retrySink(name));
      terminal.out(options.json ? formatJson(report) : `${sentenceFor(name, report)}\n`);
    });

  withAnswer(sink.command('rebuild'))
    .description('give a target the live set anew and take out what it holds besides')
    .argument('<name>', 'name of the sink')
    .action(async (name: string, options: AnswerOptions) => {
      const report = await withControl(context, options, (control) => rebuildShown(name, control, context));
      terminal.out(options.json ? formatJson(report) : `${sentenceFor(name, report)}\n`);
    });
}

/** Asks now and then how far it has come, and shows that to a person. */
async function rebuildShown(name: string, control: Control, { terminal }: CommandContext): Promise<DeliveryReport> {
  const rebuilt = control.rebuildSink(name);
  if (!terminal.isTerminal) return rebuilt;
  return withProgress(terminal, rebuilt, async () => {
    const progress = await control.rebuildProgress(name);
    return progress === null ? null : barOf(progress);
  });
}

const BAR = 30;

function barOf({ done, total }: { done: number; total: number }): string {
  const share = total === 0 ? 0 : Math.min(1, done / total);
  const filled = Math.round(share * BAR);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${Math.floor(share * 100)} %  ${done} of ${total}`;
}

function stepText({ name, method, path, body, outcome }: SetupReport): string {
  if (outcome !== null) return `${printable(name)}: ${printable(outcome)}\n`;
  return `# ${printable(name)}\n${method} ${path}\n${JSON.stringify(body, null, 2)}\n\n`;
}

function sentenceFor(name: string, { written, unchanged, refused, swept }: DeliveryReport): string {
  return `${printable(name)}: written ${written}, there already ${unchanged}, refused ${refused}, taken out ${swept}.`;
}

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { GatewayError } from '../model/error.ts';
import type { PlannedCollection, PlanReport } from '../model/plan.ts';
import { planJson } from '../status/json.ts';
import { type AnswerOptions, type CommandContext, knownFile, withAnswer, withControl } from './context.ts';
import { formatJson, formatTable, printable } from './terminal.ts';

export function addPlan(program: Command, context: CommandContext): void {
  withAnswer(program.command('plan'))
    .description(
      'show what a changed configuration would add to each collection and withdraw from it, before it is applied',
    )
    .action(async (options: AnswerOptions) => {
      const { terminal } = context;
      const file = await knownFile(options, true);
      if (file === null) throw new GatewayError('config-invalid', 'Name the changed file with --config FILE.');
      const report = await withControl(context, options, (control) => control.plan(resolve(file)), {
        mayReconcile: false,
      });
      for (const warning of report.warnings) terminal.err(`warning: ${printable(warning)}\n`);
      terminal.out(options.json ? formatJson(planJson(report)) : humanPlan(report));
    });
}

function humanPlan({ collections, dropped, newFeeds, droppedFeeds }: PlanReport): string {
  const rows = collections.map(({ alias, live, adds, withdraws, changes, objects, change }) => [
    alias,
    live,
    adds,
    withdraws,
    changes,
    objects,
    words[change],
  ]);
  const parts = [formatTable(['COLLECTION', 'LIVE', 'ADDS', 'WITHDRAWS', 'CHANGES', 'OBJECTS', ''], rows)];
  for (const { alias, examples, unshown } of collections) {
    parts.push(...exampleLines(alias, examples));
    if (unshown > 0) {
      parts.push(
        `${alias} no longer shows ${unshown} by their type: readers who have them keep them, for nothing tells them.\n`,
      );
    }
  }
  for (const { alias, id, live } of dropped) {
    parts.push(
      `The collection ${printable(alias ?? id)} is no longer there: its readers keep the ${live} indicators that they have.\n`,
    );
  }
  if (newFeeds.length > 0) parts.push(`Not polled yet, so what they add is not known: ${newFeeds.join(', ')}.\n`);
  if (droppedFeeds.length > 0) parts.push(`Feeds whose rows are forgotten: ${droppedFeeds.join(', ')}.\n`);
  return parts.join('');
}

const words: Record<PlannedCollection['change'], string> = {
  new: 'new',
  'other-ids':
    'every indicator gets another id: readers should read it from the beginning, for what they have is not withdrawn',
  changed: '',
  same: 'nothing changes',
};

function exampleLines(alias: string, { adds, withdraws }: PlannedCollection['examples']): string[] {
  const lines: string[] = [];
  if (adds.length > 0) lines.push(`${alias} adds, for example: ${adds.map(printable).join(', ')}\n`);
  if (withdraws.length > 0) {
    const shown = withdraws.map(({ value, reason }) => `${printable(value)} (${reason})`);
    lines.push(`${alias} withdraws, for example: ${shown.join(', ')}\n`);
  }
  return lines;
}

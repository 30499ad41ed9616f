import { type Command, Option } from 'commander';
import type { ExplainedCollection, ExplainedInput, ExplainedValue, ExplainReport, SaidOf } from '../model/explain.ts';
import { type ObservableType, observableTypes } from '../model/observable.ts';
import { explainJson } from '../status/explain.ts';
import { type AnswerOptions, type CommandContext, withAnswer, withControl } from './context.ts';
import { cut, formatJson, formatTable, printable, timeText } from './terminal.ts';

export function addExplain(program: Command, context: CommandContext): void {
  withAnswer(program.command('explain'))
    .description('show who says a value, in which collections it is or is not, and why')
    .argument('<value>', 'an address, domain, URL, hash or other value, in any spelling')
    .addOption(new Option('--type <type>', 'what it is, where its form does not tell').choices(observableTypes))
    .action(async (value: string, options: AnswerOptions & { type?: ObservableType }) => {
      const report = await withControl(context, options, (control) => control.explain(value, options.type ?? null));
      context.terminal.out(options.json ? formatJson(explainJson(report)) : humanExplanation(report));
    });
}

function humanExplanation({ asked, values, unreadable, refused }: ExplainReport): string {
  const parts = values.map(humanValue);
  if (values.length === 0)
    parts.push(`${printable(asked)} can't be read as a value: ${printable(unreadable ?? '')}.\n`);
  if (refused.length > 0) {
    const rows = refused.map((row) => [
      row.feed,
      timeText(row.lastAt) ?? '',
      row.reason,
      row.detail,
      cut(row.row, 100),
    ]);
    parts.push(`Rows that were refused\n${formatTable(['FEED', 'LAST', 'REASON', 'DETAIL', 'ROW'], rows)}`);
  }
  return parts.join('\n');
}

function humanValue({ observable, said, analysts, collections, within }: ExplainedValue): string {
  const parts = [
    `${observable.type} ${printable(observable.value)}\n`,
    `Said by\n${said.length === 0 ? 'No feed says it now.\n' : formatTable(SAID, said.map(saidRow))}`,
    ...(analysts.length === 0 ? [] : [`Analysts\n${formatTable(ANALYSTS, analysts.map(analystRow))}`]),
    `Collections\n${collections.map(humanCollection).join('')}`,
  ];
  const told = collections.flatMap(({ alias, history }) =>
    history.map(({ id, since, at, withdrawn }) => [
      alias,
      id,
      timeText(since) ?? '',
      timeText(at) ?? '',
      withdrawn ?? '-',
    ]),
  );
  if (told.length > 0) parts.push(`Told to readers\n${formatTable(TOLD, told)}`);
  if (within.length > 0) {
    const rows = within.map((network) => [network.value, network.collections.join(', ')]);
    parts.push(`It lies in networks that are served\n${formatTable(['NETWORK', 'COLLECTIONS'], rows)}`);
  }
  return parts.join('\n');
}

const SAID = ['FEED', 'PUBLISHER', 'CONFIDENCE', 'TLP', 'FIRST SEEN', 'LAST SEEN', 'VALID UNTIL', 'LABELS'];
const ANALYSTS = ['POOL', 'VERDICT', 'BY', 'AT', 'UNTIL', 'ENDED', 'NOTE'];
const TOLD = ['COLLECTION', 'ID', 'SINCE', 'LAST TOLD', 'WITHDRAWN'];

function saidRow({ feed, network, publisher, confidence, tlp, firstSeen, lastSeen, validUntil, labels }: SaidOf) {
  return [
    network === undefined ? feed : `${feed} (of ${network})`,
    publisher,
    confidence ?? "the feed's",
    tlp ?? "the feed's",
    timeText(firstSeen) ?? '-',
    timeText(lastSeen) ?? '-',
    timeText(validUntil) ?? '-',
    cut(labels.join(', '), 60),
  ];
}

function analystRow({ pool, kind, by, note, at, until, ended }: ExplainedValue['analysts'][number]) {
  const times = [timeText(at) ?? '', timeText(until) ?? '-', ended === null ? '-' : (timeText(ended.at) ?? '')];
  return [pool, kind, by, ...times, cut(note ?? '', 80)];
}

/** `urlhaus says 90: +90`, `copies says 80 (trusted 0.5: 40): +0, a copy of URLhaus`. */
function inputText({ feed, publisher, said, trust, confidence, standing, of, added }: ExplainedInput): string {
  const trusted = trust === 1 ? '' : ` (trusted ${trust}: ${confidence ?? 'none'})`;
  const how = standing === 'independent' ? '' : `, ${standing}${of === null ? '' : ` of ${of}`}`;
  return `${feed} for ${publisher} says ${said ?? 'none'}${trusted}: +${added}${how}`;
}

const words = { live: 'is in it', withdrawn: 'was in it', never: 'is not in it' } as const;

function humanCollection({ alias, state, reason, why, merged, leftOut }: ExplainedCollection): string {
  const lines = [`  ${alias}: ${words[state]}. ${printable(why)}`];
  if (merged !== null && reason !== 'type-not-taken') {
    const decayed = merged.score === merged.confidence ? '' : `, of which decay has left ${merged.score ?? 'none'}`;
    lines.push(`    confidence ${merged.confidence ?? 'none'}${decayed}`);
    for (const input of merged.inputs) lines.push(`      ${printable(inputText(input))}`);
  }
  for (const { feed, reason } of leftOut) lines.push(`    ${feed} does not count: ${reason}`);
  return lines.map((line) => `${line}\n`).join('');
}

import { userInfo } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type AnalystVerdict,
  type AnalystVerdictKind,
  analystVerdictKinds,
  MAX_VERDICT_NOTE,
  type VerdictReport,
} from '../model/analyst-verdict.ts';
import { MICROS_PER_MS, type Micros, systemClock } from '../model/clock.ts';
import { parseDuration } from '../model/duration.ts';
import { type ObservableType, observableTypes } from '../model/observable.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { verdictListJson, verdictReportJson } from '../status/verdicts.ts';
import { type AnswerOptions, type CommandContext, wholeNumber, withAnswer, withControl } from './context.ts';
import { cut, formatJson, formatTable, printable, timeText } from './terminal.ts';

const summaries: Record<AnalystVerdictKind, string> = {
  'false-positive': 'withdraw a value from every collection of a pool, whatever feeds say',
  confirmed: 'say that a value is as bad as its feeds say: no warning list keeps it out',
  sighted: 'say that a value was seen, so that it is not old',
};

interface PoolOptions extends AnswerOptions {
  type?: ObservableType;
  pool?: string;
  allPools?: true;
}

export function addVerdict(program: Command, context: CommandContext): void {
  const verdict = program
    .command('verdict')
    .description('what analysts say of values: false-positive, confirmed, sighted, end, list')
    .helpCommand(false);
  const { terminal } = context;

  for (const kind of analystVerdictKinds) {
    const command = withValue(verdict.command(kind))
      .description(summaries[kind])
      .addOption(new Option('--until <date>', 'it ends then').argParser(dateAhead))
      .addOption(
        new Option('--for <duration>', 'it ends after this time, such as 30d').argParser(span).conflicts('until'),
      )
      .option('--note <text>', 'for other analysts', noteText);
    if (kind === 'sighted') command.option('--at <date>', 'when it was seen (default: now)', date);
    command.action(async (ioc: string, options: GiveOptions) => {
      const { for: length, until, note, at: seenAt, ...rest } = options;
      const end = length === undefined ? until : systemClock.now() + length * MICROS_PER_MS;
      const more = defined({ note, seenAt, until: end, ...chosen(rest) });
      const report = await withControl(context, options, (control) =>
        control.giveVerdict({ ioc, kind, by: userName(), ...more }),
      );
      terminal.out(options.json ? formatJson(verdictReportJson(report)) : sentencesFor('', report));
    });
  }

  withValue(verdict.command('end'))
    .description('end the verdicts on a value')
    .addOption(new Option('--kind <kind>', 'only this one').choices([...analystVerdictKinds]))
    .action(async (ioc: string, options: PoolOptions & { kind?: AnalystVerdictKind }) => {
      const more = defined({ kind: options.kind, ...chosen(options) });
      const report = await withControl(context, options, (control) =>
        control.endVerdicts({ ioc, by: userName(), ...more }),
      );
      terminal.out(options.json ? formatJson(verdictReportJson(report)) : sentencesFor('no longer ', report));
    });

  withAnswer(verdict.command('list'))
    .description('list verdicts, the newest first')
    .argument('[value]', 'only those on this value, in any spelling')
    .addOption(typeOption())
    .option('--pool <name>', 'only those of this pool')
    .option('--ended', 'those that ended as well')
    .option('--limit <n>', 'how many', wholeNumber(1, 10_000), 100)
    .action(async (ioc: string | undefined, options: PoolOptions & { ended?: true; limit: number }) => {
      const { ended = false, limit, type, pool } = options;
      const query = { withEnded: ended, limit, ...defined({ ioc, type, pool }) };
      const list = await withControl(context, options, (control) => control.listVerdicts(query));
      if (options.json) return terminal.out(formatJson(verdictListJson(list)));
      terminal.out(formatTable(['VALUE', 'VERDICT', 'POOL', 'BY', 'GIVEN', 'UNTIL', 'NOTE'], list.verdicts.map(rowOf)));
      if (list.next !== null) terminal.out(`There are more: --limit shows them.\n`);
    });
}

interface GiveOptions extends PoolOptions {
  for?: number;
  until?: Micros;
  note?: string;
  at?: Micros;
}

function withValue(command: Command): Command {
  return withAnswer(command)
    .argument('<value>', 'an address, domain, URL, hash or other value, in any spelling')
    .addOption(typeOption())
    .option('--pool <name>', 'the pool that is meant (default: the only one)')
    .addOption(new Option('--all-pools', 'in every pool').conflicts('pool'));
}

function typeOption(): Option {
  return new Option('--type <type>', 'what it is, where its form does not tell').choices(observableTypes);
}

function chosen({ type, pool, allPools }: PoolOptions) {
  return { type, pool, allPools };
}

type Defined<T> = Partial<{ [K in keyof T]: Exclude<T[K], undefined> }>;

/** Without members that are undefined. */
function defined<T extends object>(members: T): Defined<T> {
  const known = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as Defined<T>;
}

/** Who gives it, for other analysts. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the user may have no name.
    return `user ${process.getuid?.() ?? ''}`.trim();
  }
}

function sentencesFor(no: string, { verdicts, entries, withdrawn, feeds }: VerdictReport): string {
  const lines = verdicts.map(({ pool, observable, kind, until }) => {
    const end = until === null || no !== '' ? '' : ` until ${timeText(until)}`;
    return `${observable.type} ${printable(observable.value)} is ${no}${kind} in pool ${printable(pool)}${end}.`;
  });
  if (feeds.length === 0) lines.push('No feed says it now; a verdict holds when one does.');
  else
    lines.push(
      `Said by ${printable(feeds.join(', '))}. Entries for readers: ${entries}, withdrawals among them: ${withdrawn}.`,
    );
  return `${lines.join('\n')}\n`;
}

function rowOf({ observable, kind, pool, by, at, seenAt, until, note, ended }: AnalystVerdict): string[] {
  const over =
    ended === null
      ? (timeText(until) ?? '-')
      : `ended ${timeText(ended.at)}${ended.by === null ? '' : ` by ${ended.by}`}`;
  const seen = seenAt === null ? kind : `${kind} ${timeText(seenAt)}`;
  return [cut(observable.value, 80), seen, pool, by, timeText(at) ?? '', over, cut(note ?? '', 80)];
}

/** `2026-12-24`, the beginning of that day in UTC, or RFC 3339. */
function date(text: string): Micros {
  const at = parseTimestamp(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  if (at === undefined) throw new InvalidArgumentError('It must be a date such as 2026-12-24 or 2026-12-24T08:00:00Z.');
  return at;
}

function dateAhead(text: string): Micros {
  const at = date(text);
  if (at <= systemClock.now()) throw new InvalidArgumentError('It must lie ahead.');
  return at;
}

function span(text: string): number {
  const length = parseDuration(text);
  if (length === undefined || length === 0) throw new InvalidArgumentError('It must be like 12h, 30d or 4w.');
  return length;
}

function noteText(text: string): string {
  if (text.length <= MAX_VERDICT_NOTE) return text;
  throw new InvalidArgumentError(`It may have ${MAX_VERDICT_NOTE} characters at most.`);
}

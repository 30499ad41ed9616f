import { access } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ConfigProblem, formatProblem } from '../config/problem.ts';
import type { Control } from '../control/verbs.ts';
import { GatewayError } from '../model/error.ts';
import { type Terminal, withProgress } from './terminal.ts';

/** What commands use of the gateway. */
export type Gateway = Pick<
  typeof import('../gateway.ts'),
  | 'loadConfigFile'
  | 'connectServer'
  | 'openControl'
  | 'serve'
  | 'version'
  | 'isPreset'
  | 'trySource'
  | 'tryWithoutStore'
>;

export interface CommandContext {
  terminal: Terminal;
  gateway: Gateway;
}

export interface ConfigOption {
  config?: string;
  data?: string;
}

export interface AnswerOptions extends ConfigOption {
  json?: boolean;
}

const DEFAULT_CONFIG = 'sluice.yaml';
/** Stands in until there is one of one's own. */
const EXAMPLE_CONFIG = 'sluice.example.yaml';

export function withConfig(command: Command): Command {
  return command
    .addOption(
      new Option('-c, --config <file>', `configuration file (default: ./${DEFAULT_CONFIG})`).env('SLUICE_CONFIG'),
    )
    .addOption(
      new Option('--data <dir>', 'data directory, instead of the one in the configuration').env('SLUICE_DATA'),
    );
}

export function withAnswer(command: Command): Command {
  return withConfig(command).option('--json', 'answer in JSON');
}

/**
 * Loads the file that `--config` names; without it ./sluice.yaml, or the example, which it says. `file` is its name for
 * messages. Throws `config-invalid`.
 */
export async function loadFile(
  context: CommandContext,
  options: ConfigOption,
  overrides: { listen?: string | undefined } = {},
) {
  const file = await findFile(context, options);
  const loaded = await context.gateway.loadConfigFile(file, { data: options.data, ...overrides });
  return { ...loaded, file };
}

/**
 * The configuration file that `--config` names, else ./sluice.yaml, else the example where it may count. Null: there is none.
 */
export async function knownFile(options: ConfigOption, mayBeExample: boolean): Promise<string | null> {
  if (options.config !== undefined) return options.config;
  if (await exists(DEFAULT_CONFIG)) return DEFAULT_CONFIG;
  return mayBeExample && (await exists(EXAMPLE_CONFIG)) ? EXAMPLE_CONFIG : null;
}

/** The same, and it says so where the example counts. Throws `config-invalid` where there is none. */
async function findFile({ terminal }: CommandContext, options: ConfigOption): Promise<string> {
  const file = await knownFile(options, true);
  if (file === EXAMPLE_CONFIG && options.config === undefined) {
    terminal.err(`There is no ${DEFAULT_CONFIG} here, so ${EXAMPLE_CONFIG} counts.\n`);
  }
  if (file !== null) return file;
  throw new GatewayError(
    'config-invalid',
    `There is no ${DEFAULT_CONFIG} here: copy sluice.example.yaml to it, or name another file with --config FILE.`,
  );
}

/**
 * Runs verbs on the running server, or on the store when no server runs. A store that isn't there is made only with `mayMake`, and
 * then the command says so, for a directory may be mistyped.
 */
export async function withControl<T>(
  context: CommandContext,
  options: ConfigOption,
  ask: (control: Control) => Promise<T>,
  { mayMake = false, mayReconcile = true } = {},
): Promise<T> {
  const { gateway } = context;
  const [file, overrides] = [await findFile(context, options), { data: options.data }];
  const server = await gateway.connectServer(file, overrides);
  const control =
    server ?? (await gateway.openControl(await gateway.loadConfigFile(file, overrides), mayMake, { mayReconcile }));
  try {
    if ('made' in control && control.made !== null) {
      context.terminal.err(`There was no store in ${control.made}: a new one was made.\n`);
    }
    return await ask(control);
  } catch (error) {
    if (server === null || !(error instanceof GatewayError) || error.code !== 'not-found') throw error;
    // Most often it is in the file by now.
    throw new GatewayError(
      'not-found',
      `${error.message} The running server has the configuration it was started with.`,
    );
  } finally {
    await control.close();
  }
}

/** Waits for a poll or a try; where a person looks on, with a line that says how far it has come. */
export function whileReading<T>(
  { terminal }: CommandContext,
  { json }: AnswerOptions,
  control: Pick<Control, 'readProgress'>,
  feed: string,
  work: Promise<T>,
): Promise<T> {
  if (!terminal.isErrTerminal || json) return work;
  return withProgress(terminal, work, async () => {
    const progress = await control.readProgress(feed);
    if (progress === null) return null;
    const { rows, requests, bytes } = progress;
    return `${rows} rows, ${requests} requests, ${(bytes / 1_000_000).toFixed(1)} MB`;
  });
}

export function warningLine(file: string, warning: ConfigProblem): string {
  return `warning: ${formatProblem(file, warning)}\n`;
}

/** A whole number within bounds, for commander. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

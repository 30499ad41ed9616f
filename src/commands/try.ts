import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { ReadProgress, TryReport } from '../model/control.ts';
import { errorText, GatewayError } from '../model/error.ts';
import { tryJson } from '../status/json.ts';
import {
  type CommandContext,
  type ConfigOption,
  exists,
  type Gateway,
  knownFile,
  whileReading,
  wholeNumber,
  withAnswer,
} from './context.ts';
import { formatJson } from './terminal.ts';
import { humanTry } from './tried.ts';

interface TryOptions extends ConfigOption {
  format?: string;
  keyEnv?: string;
  header?: string;
  internal?: boolean;
  rows: number;
  json?: boolean;
}

/** A report, and the section to paste where the feed is not configured yet. */
interface Tried {
  report: TryReport;
  paste: { name: string; section: Record<string, unknown> } | null;
}

export function addTry(program: Command, context: CommandContext): void {
  withAnswer(program.command('try'))
    .description('read a feed once and show what it would bring, without writing anything')
    .argument('<what>', 'a feed of the configuration, a preset, an address or a file')
    .option('--format <name>', 'how an address or file is read (default: it is guessed)')
    .option('--key-env <name>', 'environment variable with the key of a preset or address')
    .option('--header <name>', 'header that carries the key as it is, in place of a Bearer token')
    .option('--internal', 'the host may stand inside this network')
    .option('--rows <n>', 'rows to show', wholeNumber(0, 1000), 20)
    .action(async (what: string, options: TryOptions) => {
      const { terminal } = context;
      const { report, paste } = await tried(what, options, context);
      const yaml = paste === null ? null : stringify({ feeds: { [paste.name]: paste.section } });
      terminal.out(options.json ? formatJson({ ...tryJson(report), yaml }) : humanTry(report, yaml));
      if (report.error === null) return;
      throw new GatewayError(report.error.code, `${report.feed} can't be read: ${errorText(report.error)}`);
    });
}

/** A feed of the configuration counts before a preset of its name. */
async function tried(what: string, options: TryOptions, context: CommandContext): Promise<Tried> {
  const { gateway } = context;
  const isUrl = /^https?:\/\//i.test(what);
  const configured = isUrl ? null : await tryConfigured(what, options, context);
  if (configured !== null) return { report: configured, paste: null };
  const given = {
    ...(options.keyEnv === undefined ? {} : { key: { env: options.keyEnv } }),
    ...(options.header === undefined ? {} : { header: options.header }),
    ...(options.internal ? { internal: true } : {}),
  };
  const read = async (name: string, section: Record<string, unknown>): Promise<Tried> => {
    const { section: found, ...report } = await whileTrying(name, options, context, (more) =>
      gateway.trySource({ name, section }, { base: process.cwd(), ...more }),
    );
    return { report, paste: { name, section: found } };
  };
  if (isUrl) return read(nameOf(new URL(what).hostname), { ...formatOf(options), url: what, ...given });
  if (gateway.isPreset(what)) return read(what, { preset: what, ...given });
  if (await exists(what)) return read(nameOf(what), { ...formatOf(options), path: what, ...given });
  throw new GatewayError('not-found', `${what} is no feed of the configuration, no preset, no address and no file.`);
}

function formatOf({ format }: TryOptions): Record<string, unknown> {
  return format === undefined ? {} : { format };
}

/** Null: the configuration has no such feed. */
async function tryConfigured(feed: string, options: TryOptions, context: CommandContext): Promise<TryReport | null> {
  const { gateway } = context;
  // The example names presets without their keys: there the preset is meant.
  const file = await knownFile(options, !gateway.isPreset(feed));
  if (file === null) return null;
  const overrides = { data: options.data };
  const server = await gateway.connectServer(file, overrides);
  if (server !== null) {
    return whileReading(context, options, server, feed, server.tryFeed(feed, options.rows))
      .catch(nullIfUnknown)
      .finally(() => server.close());
  }
  const loaded = await gateway.loadConfigFile(file, overrides).catch((error: unknown) => {
    // What is wrong with the file says nothing of a preset.
    if (gateway.isPreset(feed)) return null;
    throw error;
  });
  const { feeds = [], idleFeeds = [] } = loaded?.config ?? {};
  if (loaded === null || ![...feeds, ...idleFeeds].some(({ definition }) => definition.name === feed)) return null;
  const control = await gateway.openControl(loaded, false, { mayReconcile: false }).catch(nullIfUnknown);
  if (control === null) {
    return whileTrying(feed, options, context, (more) => gateway.tryWithoutStore(loaded.config, feed, more));
  }
  return whileReading(context, options, control, feed, control.tryFeed(feed, options.rows)).finally(() =>
    control.close(),
  );
}

/** Runs a try in this process, and shows how far it has come. */
function whileTrying<T>(
  feed: string,
  options: TryOptions,
  context: CommandContext,
  run: (more: Parameters<Gateway['tryWithoutStore']>[2]) => Promise<T>,
): Promise<T> {
  let progress = (): ReadProgress | null => null;
  const work = run({
    rows: options.rows,
    signal: context.terminal.interrupted(),
    onReading: (found) => {
      progress = found;
    },
  });
  return whileReading(context, options, { readProgress: async () => progress() }, feed, work);
}

function nullIfUnknown(error: unknown): null {
  if (error instanceof GatewayError && error.code === 'not-found') return null;
  throw error;
}

/** A name that a feed may have: of an address its host, of a file its name. */
function nameOf(text: string): string {
  const [last = ''] = text.split('/').slice(-1);
  const name = last
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return name.slice(0, 64) || 'feed';
}

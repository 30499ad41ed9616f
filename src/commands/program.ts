import { Command, CommanderError } from 'commander';
import { GatewayError } from '../model/error.ts';
import { addCheckConfig } from './check-config.ts';
import { addClient } from './client.ts';
import type { CommandContext } from './context.ts';
import { addExplain } from './explain.ts';
import { addPlan } from './plan.ts';
import { addPoll } from './poll.ts';
import { addPresets } from './presets.ts';
import { addPrintConfig } from './print-config.ts';
import { addRejections } from './rejections.ts';
import { addServe } from './serve.ts';
import { addSink } from './sink.ts';
import { addStatus } from './status.ts';
import { printable } from './terminal.ts';
import { addTry } from './try.ts';
import { addVerdict } from './verdict.ts';

/** 0: done. 1: failed. 2: wrong usage or configuration, nothing was attempted. */
export type ExitCode = 0 | 1 | 2;

/** Runs one command line (without the program's own name) to its end. Speaks only through the terminal; never throws. */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<ExitCode> {
  try {
    await buildProgram(context).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has said what is wrong already, and shown help or the version on request.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return explain(error, context);
  }
}

function buildProgram(context: CommandContext): Command {
  const { terminal, gateway } = context;
  const program = new Command('sluice')
    .description('A threat-intelligence feed gateway: one paced pull upstream, many clean feeds downstream.')
    .version(gateway.version, '--version', 'print the version')
    .helpCommand(false)
    .showHelpAfterError('(--help shows what there is)')
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .exitOverride();
  // Subcommands take these settings over when they are made.
  addServe(program, context);
  addCheckConfig(program, context);
  addPrintConfig(program, context);
  addPresets(program, context);
  addTry(program, context);
  addPoll(program, context);
  addStatus(program, context);
  addRejections(program, context);
  addExplain(program, context);
  addPlan(program, context);
  addVerdict(program, context);
  addClient(program, context);
  addSink(program, context);
  return program;
}

/** One line per problem; what is behind it only where debugging is asked for. */
function explain(error: unknown, { terminal }: CommandContext): ExitCode {
  const isKnown = error instanceof GatewayError;
  const message = isKnown ? error.message : `unforeseen: ${error instanceof Error ? error.message : String(error)}`;
  for (const line of message.split('\n')) terminal.err(`sluice: ${printable(line)}\n`);
  for (const [key, value] of Object.entries((isKnown && error.details) || {})) {
    terminal.err(`sluice:   ${printable(`${key}: ${value}`)}\n`);
  }
  if (isKnown && error.retryAfter !== undefined) terminal.err(`sluice:   try again in ${error.retryAfter} s\n`);
  if (terminal.env['LOG_LEVEL'] === 'debug' || terminal.env['LOG_LEVEL'] === 'trace')
    terminal.err(`${stackOf(error)}\n`);
  return isKnown && (error.code === 'config-invalid' || error.code === 'bad-request') ? 2 : 1;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

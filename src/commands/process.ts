import { constants } from 'node:os';
import * as gateway from '../gateway.ts';
import { MICROS_PER_SECOND, type Micros, systemClock } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { type ExitCode, runCommand } from './program.ts';
import type { Terminal } from './terminal.ts';

/** A terminal sends an interrupt to every process of the group, and the launcher passes it on: both are the same one. */
const SAME_INTERRUPT = MICROS_PER_SECOND;

/** Runs this process's command line over its own streams and signals. */
export function runProcess(): Promise<ExitCode> {
  return runCommand(process.argv.slice(2), { terminal: openTerminal(), gateway });
}

function openTerminal(): Terminal {
  // `sluice status | head` ends the reader first: that is no failure.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit();
    });
  }
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    isErrTerminal: process.stderr.isTTY === true,
    env: process.env,
    interrupted,
    pause: (ms) => systemClock.sleep(ms),
  };
}

/** The first signal asks for an orderly end; another, a second or more later, ends at once. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  let first: Micros | null = null;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const now = systemClock.now();
      first ??= now;
      if (now - first >= SAME_INTERRUPT) process.exit(128 + constants.signals[signal]);
      controller.abort(new GatewayError('unavailable', `Stopped by ${signal}.`));
    });
  }
  return controller.signal;
}

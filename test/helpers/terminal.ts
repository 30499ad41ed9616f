import type { Terminal } from '../../src/commands/terminal.ts';

/** A terminal that is none: what is written to it is added to `ran`, and time passes at once. */
export function recordingTerminal(ran: { out: string; err: string }, env: Terminal['env'] = {}): Terminal {
  return {
    out: (text) => {
      ran.out += text;
    },
    err: (text) => {
      ran.err += text;
    },
    isTerminal: false,
    env,
    interrupted: () => new AbortController().signal,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

export const BIN = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url));

/**
 * Starts `sluice serve` in a process of its own, by this command line, and waits until it listens. It is killed when the test ends.
 * Throws what it printed when it ends before that.
 */
export async function startServe(t: Pick<Test, 'teardown'>, command: string, args: readonly string[]) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (printed += part));
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const portOf = () => /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(printed)?.[1];
  while (portOf() === undefined) {
    await Promise.race([once(child.stdout, 'data'), ended.then(() => Promise.reject(new Error(printed)))]);
  }
  return { child, port: Number(portOf()), ended, printed: () => printed };
}

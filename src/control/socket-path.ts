import { closeSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GatewayError } from '../model/error.ts';

/** The control socket of a data directory. */
export function socketPathOf(data: string): string {
  return join(data, 'sluice.sock');
}

/** `sun_path` of sockaddr_un without its closing zero: 108 bytes on Linux, 104 on BSD and macOS (unix(7)). */
const MAX_SOCKET_PATH = 103;

/** A path that fits the kernel's limit and leads to the same socket. */
export function reach(path: string): { path: string; release(): void } {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { path, release: () => {} };
  if (process.platform !== 'linux') {
    throw new GatewayError(
      'unavailable',
      `The path ${path} is too long for a socket: choose a data directory with a shorter one.`,
    );
  }
  // Through the open directory, as Linux names it: short, whatever the directory's own path is.
  let directory: number;
  try {
    directory = openSync(dirname(path), 'r');
  } catch {
    // No such directory: no socket in it either.
    return { path: join('/proc/self/fd/none', basename(path)), release: () => {} };
  }
  return { path: `/proc/self/fd/${directory}/${basename(path)}`, release: () => closeSync(directory) };
}

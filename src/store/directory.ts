import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { GatewayError, systemErrorCode } from '../model/error.ts';

/** Makes a directory that only its owner can use (0700), and those above it. Throws `store-failed` when that is impossible. */
export function makeDirectory(dir: string): void {
  try {
    makeLevel(dir);
  } catch (cause) {
    const code = systemErrorCode(cause);
    throw new GatewayError('store-failed', `The data directory ${dir} cannot be used: ${code}.`, { cause });
  }
}

/** One level at a time: node's own `recursive` never returns where a directory cannot be made, as below /proc. */
function makeLevel(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST' && statSync(dir).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(dir) === dir) throw error;
    makeLevel(dirname(dir));
    mkdirSync(dir, { mode: 0o700 });
  }
}

import { mkdirSync } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../model/error.ts';

export interface LineFile {
  directory: string;
  name: string;
  /** A file that is not empty is rotated before it grows beyond this many bytes. */
  maxBytes: number;
  /** Rotated files that are kept: `NAME.1` is the newest. */
  maxFiles: number;
}

/**
 * Appends whole lines and resolves when they are on the disk, so that a checkpoint never names lines that a crash lost. It writes and syncs
 * by one handle, and keeps none open between calls, so a removed file or a full disk needs no restart. Throws the file system's error; then
 * none of the lines is in the file, unless truncating it fails as well.
 */
export async function appendLines(file: LineFile, text: string): Promise<void> {
  if (text === '') return;
  mkdirSync(file.directory, { recursive: true });
  const path = join(file.directory, file.name);
  const bytes = Buffer.from(text);
  const known = await stat(path).catch(ignoreMissing);
  if (known !== undefined && known.size > 0 && known.size + bytes.length > file.maxBytes) await rotate(file);
  const handle = await open(path, 'a+', 0o600);
  try {
    await append(handle, bytes);
  } finally {
    await handle.close();
  }
  // A new or renamed file is on the disk only when its directory is synced.
  if (known === undefined || (await stat(path)).size === bytes.length) await syncDirectory(file.directory);
}

async function append(handle: FileHandle, bytes: Buffer): Promise<void> {
  const { size } = await handle.stat();
  try {
    // A crash may have left half a line: end it. The whole line is delivered again.
    if (size > 0 && !(await endsLine(handle, size))) await handle.appendFile('\n');
    await handle.appendFile(bytes);
    await handle.sync();
  } catch (error) {
    await handle.truncate(size).catch(() => undefined);
    throw error;
  }
}

async function endsLine(handle: FileHandle, size: number): Promise<boolean> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString() === '\n';
}

/** Renames the oldest file first: a crash in between leaves a gap in the numbers and loses nothing. */
async function rotate({ directory, name, maxFiles }: LineFile): Promise<void> {
  const numbered = (n: number): string => join(directory, n === 0 ? name : `${name}.${n}`);
  for (let n = maxFiles - 1; n >= 0; n -= 1) await rename(numbered(n), numbered(n + 1)).catch(ignoreMissing);
  await syncDirectory(directory);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  await handle.sync().finally(() => handle.close());
}

function ignoreMissing(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined;
  throw error;
}

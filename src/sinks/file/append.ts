import { mkdirSync } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface LineFile {
  directory: string;
  name: string;
  /** A file that holds anything is rotated before it would grow beyond this many bytes. */
  maxBytes: number;
  /** Rotated files kept: `NAME.1` is the youngest. */
  maxFiles: number;
}

/**
 * Appends whole lines and resolves when the disk has them: a checkpoint must not outlive what it stands for. What is written and
 * what is synced is one handle, whatever is rotated before or after. Nothing is kept open in between, so a file that was taken
 * away, or a disk that was full, needs nobody's help. Throws the file system's error; then none of the lines is there, unless the
 * disk refuses even to cut them off again.
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
  // A file that is new, or has a new name, is on the disk when its directory is.
  if (known === undefined || (await stat(path)).size === bytes.length) await syncDirectory(file.directory);
}

async function append(handle: FileHandle, bytes: Buffer): Promise<void> {
  const { size } = await handle.stat();
  try {
    // A crash may have cut a line in two: what follows must not be glued to it. The whole line comes again.
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

/** The eldest first, so that a crash in between leaves a gap in the numbers and loses nothing. */
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
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}

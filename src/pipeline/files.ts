import { hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { FeedFile, FeedFiles } from '../feeds/feed.ts';
import { GatewayError } from '../model/error.ts';

const MAX_FILES = 10_000;
/** Bytes of one file. */
const MAX_FILE = 4 * 1024 * 1024 * 1024;

export interface FileSource {
  files: FeedFiles;
  isUnchanged(): boolean;
  /** Stands for names, sizes and times of all that was listed. */
  fingerprint(): string | null;
}

/** Files below `base`, as one poll gets them; null when nothing differs from what `known` stands for. */
export function createFiles(base: string, known: string | null): FileSource {
  let fingerprint: string | null = null;
  return {
    isUnchanged: () => fingerprint !== null && fingerprint === known,
    fingerprint: () => fingerprint,
    async files(path) {
      const listed = await list(resolve(base, path)).catch((cause: NodeJS.ErrnoException) => {
        throw new GatewayError('upstream-failed', `${path} can't be read (${cause.code ?? 'unknown'}).`, { cause });
      });
      fingerprint = hash('sha256', JSON.stringify(listed.map(({ name, size, mtime }) => [name, size, mtime])), 'hex');
      if (fingerprint === known) return null;
      return listed.map(open);
    },
  };
}

interface Listed {
  name: string;
  path: string;
  size: number;
  mtime: number;
}

async function list(path: string): Promise<Listed[]> {
  const root = await stat(path);
  const names = root.isDirectory() ? (await readdir(path)).filter(isFinished).sort() : [''];
  if (names.length > MAX_FILES)
    throw new GatewayError('upstream-too-large', `${path} holds more than ${MAX_FILES} files.`);
  const listed = await Promise.all(
    names.map(async (name) => {
      const file = name === '' ? path : join(path, name);
      const { size, mtimeMs } = await stat(file);
      return { name: name === '' ? path : name, path: file, size, mtime: mtimeMs, isFile: (await stat(file)).isFile() };
    }),
  );
  return listed.filter(({ isFile }) => isFile);
}

/** Writers of a watched directory write beside and rename. */
function isFinished(name: string): boolean {
  return !name.startsWith('.') && !name.endsWith('.part') && !name.endsWith('.tmp');
}

function open({ name, path, size }: Listed): FeedFile {
  if (size > MAX_FILE) throw new GatewayError('upstream-too-large', `${name} is larger than ${MAX_FILE} bytes.`);
  return { name, size, body: createReadStream(path, { highWaterMark: 256 * 1024 }) };
}

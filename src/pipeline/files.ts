import { hash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve, sep } from 'node:path';
import type { FeedFile, FeedFiles } from '../feeds/feed.ts';
import { GatewayError } from '../model/error.ts';

const MAX_FILES = 10_000;
/** Bytes of one file, as it lies on the disk. */
const MAX_FILE = 4 * 1024 * 1024 * 1024;
const CHUNK = 256 * 1024;

export interface FileSource {
  files: FeedFiles;
  isUnchanged(): boolean;
  /** Stands for names, sizes and times of all that was listed; null until something was. */
  fingerprint(): string | null;
}

/**
 * Files below `base`, as one poll gets them; null when nothing differs from what `known` stands for. Subdirectories are
 * not entered. Throws `upstream-failed` and `upstream-too-large`, naming the file as the configuration or directory does.
 */
export function createFiles(base: string, known: string | null): FileSource {
  let fingerprint: string | null = null;
  return {
    isUnchanged: () => fingerprint !== null && fingerprint === known,
    fingerprint: () => fingerprint,
    async files(path) {
      const listed = await list(resolve(base, path), path);
      fingerprint = hash('sha256', JSON.stringify(listed.map(({ name, mark }) => [name, mark])), 'hex');
      return fingerprint === known ? null : listed.map(({ name, path, size, mark }) => fileOf(name, path, size, mark));
    },
  };
}

interface Listed {
  name: string;
  /** Without symbolic links. */
  path: string;
  size: number;
  /** Which file this is and which content of it. */
  mark: string;
}

async function list(path: string, shown: string): Promise<Listed[]> {
  const root = await readable(realpath(path), shown);
  const rootStats = await readable(stat(root, { bigint: true }), shown);
  if (!rootStats.isDirectory()) return [describe(basename(path), root, rootStats)];
  const names = (await readable(readdir(root), shown)).filter(isFinished).sort();
  if (names.length > MAX_FILES) {
    throw new GatewayError('upstream-too-large', `${shown} holds more than ${MAX_FILES} files.`);
  }
  const listed: Listed[] = [];
  for (const name of names) {
    const shownName = `${name} in ${shown}`;
    const real = await readable(realpath(join(root, name)), shownName);
    // Whoever may drop files here must not thereby read any other file of this machine.
    if (!real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new GatewayError('upstream-failed', `${shownName} is a link that leads out of the directory.`);
    }
    const stats = await readable(stat(real, { bigint: true }), shownName);
    if (stats.isFile()) listed.push(describe(name, real, stats));
  }
  return listed;
}

function describe(name: string, path: string, stats: BigIntStats): Listed {
  if (!stats.isFile()) throw new GatewayError('upstream-failed', `${name} is neither a file nor a directory.`);
  if (stats.size > MAX_FILE) {
    throw new GatewayError('upstream-too-large', `${name} is larger than ${MAX_FILE} bytes.`);
  }
  return { name, path, size: Number(stats.size), mark: markOf(stats) };
}

function markOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join('-');
}

/** Writers of a watched directory write beside and rename. */
function isFinished(name: string): boolean {
  return !name.startsWith('.') && !name.endsWith('.part') && !name.endsWith('.tmp');
}

function fileOf(name: string, path: string, size: number, mark: string): FeedFile {
  return { name, size, body: read(name, path, mark) };
}

/** A file's bytes, if it is from first to last what was listed: half an old and half a new content is no content. */
async function* read(name: string, path: string, mark: string): AsyncGenerator<Uint8Array> {
  const file = await readable(open(path, constants.O_RDONLY | constants.O_NOFOLLOW), name);
  try {
    const check = async (): Promise<void> => {
      const stats = await readable(file.stat({ bigint: true }), name);
      if (markOf(stats) !== mark) throw new GatewayError('upstream-failed', `${name} changed while it was read.`);
    };
    await check();
    for (;;) {
      const { bytesRead, buffer } = await readable(file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK), name);
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    await check();
  } finally {
    await file.close();
  }
}

async function readable<T>(work: Promise<T>, shown: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new GatewayError('upstream-failed', `${shown} can't be read (${code}).`);
  }
}

import { hash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, resolve, sep } from 'node:path';
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
 * not entered. Names are bytes: one that is no UTF-8 is a name like any other. A link that leads nowhere, or out of the directory,
 * costs only itself: it is listed with its fault. Throws `upstream-failed` and `upstream-too-large`, naming the file as the
 * configuration or directory does, for what may be readable at the next poll.
 */
export function createFiles(base: string, known: string | null): FileSource {
  let fingerprint: string | null = null;
  return {
    isUnchanged: () => fingerprint !== null && fingerprint === known,
    fingerprint: () => fingerprint,
    async files(path) {
      const listed = await list(resolve(base, path), path);
      fingerprint = hash('sha256', JSON.stringify(listed.map(({ name, mark, fault }) => [name, mark, fault])), 'hex');
      return fingerprint === known ? null : listed.map(fileOf);
    },
  };
}

interface Listed {
  name: string;
  /** Without symbolic links; empty for what has a fault. */
  path: Buffer;
  size: number;
  /** Which file this is and which content of it. */
  mark: string;
  /** Why it can't be read, now or ever; null when it can. */
  fault: string | null;
}

const BYTES = { encoding: 'buffer' } as const;

async function list(path: string, shown: string): Promise<Listed[]> {
  const root = await readable(realpath(path, BYTES), shown);
  const rootStats = await readable(stat(root, { bigint: true }), shown);
  if (!rootStats.isDirectory()) return [describe(basename(path), root, rootStats)];
  const names = (await readable(readdir(root, BYTES), shown)).filter(isFinished).sort(Buffer.compare);
  if (names.length > MAX_FILES) {
    throw new GatewayError('upstream-too-large', `${shown} holds more than ${MAX_FILES} files.`);
  }
  const below = root.at(-1) === sep.charCodeAt(0) ? root : Buffer.concat([root, Buffer.from(sep)]);
  const listed: Listed[] = [];
  for (const name of names) {
    const entry = await lookUp(below, name, shown);
    if (entry !== null) listed.push(entry);
  }
  return listed;
}

/** One name of a directory; null for what is no file. */
async function lookUp(below: Buffer, name: Buffer, directory: string): Promise<Listed | null> {
  const shown = name.toString();
  const broken = (fault: string): Listed => ({ name: shown, path: Buffer.alloc(0), size: 0, mark: '', fault });
  let real: Buffer;
  try {
    real = await realpath(Buffer.concat([below, name]), BYTES);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // Nothing is behind it. Anything else, such as a right that is missing, may be another at the next poll.
    if (code === 'ENOENT' || code === 'ELOOP')
      return broken(`nothing is behind it (${code}): a broken link, or it was removed meanwhile`);
    throw unreadable(`${shown} in ${directory}`, error);
  }
  // Whoever may drop files here must not thereby read any other file of this machine.
  if (!real.subarray(0, below.length).equals(below)) return broken('a link that leads out of the directory');
  const stats = await readable(stat(real, { bigint: true }), `${shown} in ${directory}`);
  return stats.isFile() ? describe(shown, real, stats) : null;
}

function describe(name: string, path: Buffer, stats: BigIntStats): Listed {
  if (!stats.isFile()) throw new GatewayError('upstream-failed', `${name} is neither a file nor a directory.`);
  if (stats.size > MAX_FILE) {
    throw new GatewayError('upstream-too-large', `${name} is larger than ${MAX_FILE} bytes.`);
  }
  return { name, path, size: Number(stats.size), mark: markOf(stats), fault: null };
}

function markOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join('-');
}

/** Writers of a watched directory write beside and rename. */
function isFinished(name: Buffer): boolean {
  const text = name.toString('latin1');
  return !text.startsWith('.') && !text.endsWith('.part') && !text.endsWith('.tmp');
}

function fileOf({ name, path, size, mark, fault }: Listed): FeedFile {
  return { name, size, fault, body: fault === null ? read(name, path, mark) : nothing() };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** A file's bytes, if it is from first to last what was listed: half an old and half a new content is no content. */
async function* read(name: string, path: Buffer, mark: string): AsyncGenerator<Uint8Array> {
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
    throw unreadable(shown, error);
  }
}

function unreadable(shown: string, error: unknown): GatewayError {
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return new GatewayError('upstream-failed', `${shown} can't be read (${code}).`);
}

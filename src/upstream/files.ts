import { hash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, resolve, sep } from 'node:path';
import type { FeedFile, FeedFiles } from '../feeds/feed.ts';
import { GatewayError, systemErrorCode } from '../model/error.ts';

const MAX_FILES = 10_000;
const MAX_FILE_BYTES = 4 * 1024 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

export interface FileSource {
  files: FeedFiles;
  isUnchanged(): boolean;
  /** Of names, sizes and times of all listed files; null until files were listed. */
  fingerprint(): string | null;
}

/**
 * The files below `base` for one poll. `files` returns null when their fingerprint is `known`. Subdirectories are not entered. Names
 * are bytes, and need not be UTF-8. A link that is broken or leads out of the directory is listed with its fault. Throws
 * `upstream-failed` and `upstream-too-large` for what may be readable at the next poll, with names as in the configuration or the
 * directory.
 */
export function createFiles(base: string, known: string | null): FileSource {
  let fingerprint: string | null = null;
  return {
    isUnchanged: () => fingerprint !== null && fingerprint === known,
    fingerprint: () => fingerprint,
    async files(path) {
      const listed = await list(resolve(base, path), path);
      fingerprint = hash(
        'sha256',
        JSON.stringify(listed.map(({ name, version, fault }) => [name, version, fault])),
        'hex',
      );
      return fingerprint === known ? null : listed.map(fileOf);
    },
  };
}

interface Listed {
  name: string;
  /** Without symbolic links; empty for a file with a fault. */
  path: Buffer;
  size: number;
  /** Identifies the file and its content. */
  version: string;
  /** Why it can't be read; null when it can. */
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

/** Describes an entry of a directory; null for one that is no file. */
async function lookUp(below: Buffer, name: Buffer, directory: string): Promise<Listed | null> {
  const shown = name.toString();
  const broken = (fault: string): Listed => ({ name: shown, path: Buffer.alloc(0), size: 0, version: '', fault });
  let real: Buffer;
  try {
    real = await realpath(Buffer.concat([below, name]), BYTES);
  } catch (error) {
    const code = systemErrorCode(error);
    // A broken link. Any other error, such as a missing right, may be gone at the next poll.
    if (code === 'ENOENT' || code === 'ELOOP')
      return broken(`nothing is behind it (${code}): a broken link, or it was removed meanwhile`);
    throw unreadable(`${shown} in ${directory}`, error);
  }
  // Whoever may write files here must not be able to read other files of this machine.
  if (!real.subarray(0, below.length).equals(below)) return broken('a link that leads out of the directory');
  const stats = await readable(stat(real, { bigint: true }), `${shown} in ${directory}`);
  return stats.isFile() ? describe(shown, real, stats) : null;
}

function describe(name: string, path: Buffer, stats: BigIntStats): Listed {
  if (!stats.isFile()) throw new GatewayError('upstream-failed', `${name} is neither a file nor a directory.`);
  if (stats.size > MAX_FILE_BYTES) {
    throw new GatewayError('upstream-too-large', `${name} is larger than ${MAX_FILE_BYTES} bytes.`);
  }
  return { name, path, size: Number(stats.size), version: versionOf(stats), fault: null };
}

function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join('-');
}

/** Programs that write into a watched directory write under another name first, and rename. */
function isFinished(name: Buffer): boolean {
  const text = name.toString('latin1');
  return !text.startsWith('.') && !text.endsWith('.part') && !text.endsWith('.tmp');
}

function fileOf({ name, path, size, version, fault }: Listed): FeedFile {
  return { name, size, fault, body: fault === null ? read(name, path, version) : nothing() };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Yields the bytes of a file. Throws `upstream-failed` when it changed since it was listed: half old and half new is no content. */
async function* read(name: string, path: Buffer, version: string): AsyncGenerator<Uint8Array> {
  const file = await readable(open(path, constants.O_RDONLY | constants.O_NOFOLLOW), name);
  try {
    const check = async (): Promise<void> => {
      const stats = await readable(file.stat({ bigint: true }), name);
      if (versionOf(stats) !== version) throw new GatewayError('upstream-failed', `${name} changed while it was read.`);
    };
    await check();
    for (;;) {
      const { bytesRead, buffer } = await readable(file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES), name);
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
  return new GatewayError('upstream-failed', `${shown} can't be read (${systemErrorCode(error) ?? 'unknown'}).`);
}

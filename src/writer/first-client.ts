import { constants } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createKey, hashKey, isKey } from '../auth/keys.ts';
import { GatewayError, systemErrorCode } from '../model/error.ts';
import type { Backend } from './backend.ts';

/** The client that the first start makes. */
export interface FirstClient {
  /** The file with its key. */
  path: string;
  /** The key, only at the start that made the client. */
  newKey: string | null;
  /** The key in the file is the key of an active client. */
  isGood: boolean;
}

/**
 * A store without clients gets one, so that the first request works. Its key is on the disk before the store knows it: a start
 * that is killed in between leaves a key from which the next one makes the client, and never a client whose key nobody has.
 * Throws `store-failed` when the key can't be kept.
 */
export async function keepFirstClient(
  data: string,
  backend: Pick<Backend, 'listClients' | 'addFirstClient'>,
): Promise<FirstClient> {
  const path = join(data, 'initial.key');
  const kept = await readKey(path);
  const clients = await backend.listClients();
  if (clients.length > 0) {
    const hash = kept === null ? null : hashKey(kept);
    const isGood = clients.some(({ keyHashes, revokedAt }) => revokedAt === null && keyHashes.includes(hash ?? ''));
    return { path, newKey: null, isGood };
  }
  const key = kept ?? createKey();
  if (kept === null) await writeKey(path, key);
  const isAdded = await backend.addFirstClient(hashKey(key));
  return { path, newKey: isAdded ? key : null, isGood: isAdded };
}

/** The key in a file; null where there is none, or anything else. */
async function readKey(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return isKey(text.trim()) ? text.trim() : null;
}

/** Writes the key for the owner alone, whole or not at all, through a power cut as well. */
async function writeKey(path: string, key: string): Promise<void> {
  const draft = `${path}.part`;
  try {
    const file = await open(draft, constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY, 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(`${key}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    const directory = await open(dirname(path));
    await directory.sync().finally(() => directory.close());
  } catch (cause) {
    const code = systemErrorCode(cause);
    throw new GatewayError('store-failed', `The first client's key can't be written to ${path}: ${code}.`, { cause });
  }
}

import { hash, randomBytes } from 'node:crypto';

const KEY_PREFIX = 'slc_';

/** A new key: 256 random bits, so a plain hash is enough to keep it by. */
export function createKey(): string {
  return KEY_PREFIX + randomBytes(32).toString('base64url');
}

/** Has this text the form of a key? */
export function isKey(text: string): boolean {
  return /^slc_[A-Za-z0-9_-]{43}$/.test(text);
}

export function hashKey(key: string): string {
  return hash('sha256', key, 'hex');
}

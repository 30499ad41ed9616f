import type { ObservableType } from '../model/observable.ts';

/** Digests of files as sensors write them. */

/** Of each type, its hex digits. */
const DIGITS: Partial<Record<ObservableType, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 };

/** Is it a digest of this type in canonical form? */
export function isDigest(type: ObservableType, value: string): boolean {
  return value.length === DIGITS[type] && /^[0-9a-f]+$/.test(value);
}

import { hash } from 'node:crypto';

/**
 * What a row says in a number, so that the index alone answers an unchanged re-poll. Of an observation that was amended, which
 * combines several rows of a pull, the fingerprint of the row that came first is kept with its sign turned.
 */

/** 48 bits, compared only with the fingerprint that the same row had before: a change is missed once in 2^48. */
export function fingerprintOf(text: string): number {
  return Number.parseInt(hash('sha1', text, 'hex').slice(0, 12), 16);
}

/** SQL: the fingerprint of a row that is amended now. */
export const AMENDED = '-abs(fingerprint)';

/** Compares a kept fingerprint with a row's: is the kept row the same, or a combination that began with the same row? */
export function compareFingerprints(kept: number, said: number): 'same' | 'amended' | 'different' {
  if (kept === said) return 'same';
  return kept === -said ? 'amended' : 'different';
}

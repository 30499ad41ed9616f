import { hash } from 'node:crypto';
import { jsonText } from '../model/json.ts';
import type { Observable } from '../model/observable.ts';
import type { Merged } from './merge.ts';

/**
 * Twelve hex digits over everything whose change readers should hear of. Dates are not in it: a sighting or a moving
 * valid_until alone makes no new version (consumers bill or store one row per version).
 */
export function fingerprintOf(as: Observable, merged: Merged): string {
  const { confidence, tlp, name, description, labels, references, kept } = merged;
  const claims = merged.claims.map(({ first_seen, last_seen, ...said }) => said);
  return hash(
    'sha1',
    jsonText([as.type, as.value, confidence, tlp, name, description, labels, references, kept, claims]),
    'hex',
  ).slice(0, 12);
}

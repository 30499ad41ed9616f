import { hash } from 'node:crypto';
import type { Claim } from '../model/entry.ts';
import { type JsonText, jsonText } from '../model/json.ts';
import type { Observable } from '../model/observable.ts';
import type { Merged } from './merge.ts';

/** The columns of an entry that are JSON text, and the fingerprint of all that it says. */
export interface Material {
  /** Twelve hex digits over all that makes a new version when it changes. */
  fingerprint: string;
  labels: JsonText | null;
  references: JsonText | null;
  kept: JsonText | null;
}

/**
 * Returns the columns and the fingerprint of a merged indicator. Dates are not in the fingerprint: a sighting or a moving
 * valid_until alone makes no new version (consumers bill or store one row per version).
 */
export function materialOf(as: Observable, merged: Merged): Material {
  const labels = merged.labels.length === 0 ? null : jsonText(merged.labels);
  const references = merged.references.length === 0 ? null : jsonText(merged.references);
  const kept = merged.kept === null ? null : jsonText(merged.kept);
  const { confidence, tlp, name, description, claims } = merged;
  const rest = jsonText([as.type, as.value, confidence, tlp, name, description, claims.map(undated)]);
  // Each is one JSON text, so that no two different lists of them read alike.
  const fingerprint = hash('sha1', `${rest}${labels}${references}${kept}`, 'hex').slice(0, 12);
  return { fingerprint, labels, references, kept };
}

/** A property that was added later counts only where it is said, so that claims without it keep their fingerprint. */
function undated(claim: Claim): unknown[] {
  const later = laterNames.flatMap((name) => (claim[name] === undefined ? [] : [[name, claim[name]]]));
  return [...undatedNames.map((name) => claim[name]), ...later];
}

/** All of a claim but its dates. */
const undatedProperties: Record<Exclude<keyof Claim, 'first_seen' | 'last_seen'>, 'from the start' | 'later'> = {
  feed: 'from the start',
  feed_name: 'from the start',
  id: 'from the start',
  confidence: 'from the start',
  category: 'from the start',
  origin: 'from the start',
  article_id: 'from the start',
  article_title: 'from the start',
  article_url: 'from the start',
  url_original: 'from the start',
  techniques: 'from the start',
  network: 'from the start',
  port: 'later',
  protocol: 'later',
  malware_family: 'later',
};
const names = Object.keys(undatedProperties) as (keyof typeof undatedProperties)[];
const undatedNames = names.filter((name) => undatedProperties[name] === 'from the start');
const laterNames = names.filter((name) => undatedProperties[name] === 'later');

import { hash } from 'node:crypto';
import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { Claim, IndicatorEntry, WithdrawalReason } from '../model/entry.ts';
import { type JsonText, jsonText } from '../model/json.ts';
import type { Observable, ObservableKey } from '../model/observable.ts';
import { floorToMillis } from '../model/timestamp.ts';
import { objectIdOf } from '../stix/id.ts';
import { subjectOf } from '../stix/pattern.ts';
import { stixTypeOf } from '../stix/properties.ts';
import { dueOf, validUntilOf } from './lifetime.ts';
import type { Merged } from './merge.ts';

/** All that a version is made from but its date, which the commit gives it. */
export interface Issue {
  key: ObservableKey;
  as: Observable;
  merged: Merged;
  material: Material;
  /** The version before it under the same id; null starts a new generation, so a new id. */
  previous: IndicatorEntry | null;
}

/** Elastic removes a row whose end has passed on its own clock: ten minutes allow for a server clock ahead of ours. */
const ELASTIC_PAST = 600 * MICROS_PER_SECOND;

/** Returns a version of an indicator dated `dateAdded`, by its journal's profile. */
export function issue(
  { key, as, merged, material, previous }: Issue,
  { name: journal, profile }: JournalDefinition,
  namespace: string,
  dateAdded: Micros,
): IndicatorEntry {
  const now = floorToMillis(dateAdded);
  const generation = previous?.generation ?? dateAdded;
  const created = previous?.created ?? now;
  const version = previous === null ? created : Math.max(now, previous.version + MICROS_PER_MS);
  const validFrom =
    previous?.validFrom ?? Math.min(created, floorToMillis(merged.validFrom ?? merged.firstSeen ?? created));
  const end = validUntilOf(profile, merged.validUntil, dateAdded);
  const entry: IndicatorEntry = {
    kind: 'indicator',
    dateAdded,
    objectId: previous?.objectId ?? objectIdOf(namespace, journal, subjectOf(as), generation, stixTypeOf(as.type)),
    version,
    superseded: false,
    key,
    type: as.type,
    value: as.value,
    generation,
    created,
    validFrom,
    validUntil: end === null ? null : Math.max(end, validFrom + MICROS_PER_MS),
    revoked: false,
    reason: null,
    confidence: merged.confidence,
    tlp: merged.tlp,
    firstSeen: merged.firstSeen,
    lastSeen: merged.lastSeen,
    name: merged.name,
    description: merged.description,
    labels: material.labels,
    references: material.references,
    sources: jsonText(merged.claims),
    kept: material.kept,
    fingerprint: material.fingerprint,
    due: null,
  };
  entry.due = dueOf(profile, entry, { validUntil: entry.validUntil, changesAt: merged.changesAt }, dateAdded);
  return entry;
}

/** The last entry an object id ever gets (STIX 2.1 section 3.2 `revoked`). `at`: by the clock, which dates may lie ahead of. */
export function tombstone(
  live: IndicatorEntry,
  reason: WithdrawalReason,
  { profile, keep }: JournalDefinition,
  dateAdded: Micros,
  at: Micros,
): IndicatorEntry {
  const now = floorToMillis(dateAdded);
  const version = Math.max(now, live.version + MICROS_PER_MS);
  const elastic = profile === 'elastic-agent';
  return {
    ...live,
    dateAdded,
    version,
    // Elastic sorts the versions of an id by `created`: this one departure from STIX 3.2 lets the tombstone win.
    created: elastic ? version : live.created,
    validUntil: Math.max(
      live.validFrom + MICROS_PER_MS,
      elastic ? Math.min(now, floorToMillis(at)) - ELASTIC_PAST : now,
    ),
    revoked: true,
    reason,
    superseded: false,
    due: dateAdded + keep * MICROS_PER_MS,
  };
}

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
  const values: unknown[] = undatedNames.map((name) => claim[name]);
  for (const name of laterNames) if (claim[name] !== undefined) values.push([name, claim[name]]);
  return values;
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

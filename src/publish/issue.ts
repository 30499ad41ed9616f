import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { IndicatorEntry, WithdrawalReason } from '../model/entry.ts';
import { jsonText } from '../model/json.ts';
import type { Observable, ObservableKey } from '../model/observable.ts';
import { floorToMillis } from '../model/timestamp.ts';
import { objectIdOf } from '../stix/id.ts';
import { subjectOf } from '../stix/pattern.ts';
import { stixTypeOf } from '../stix/properties.ts';
import type { Material } from './fingerprint.ts';
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

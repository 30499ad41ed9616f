import type { IndicatorEntry } from '../../src/model/entry.ts';
import { jsonText } from '../../src/model/json.ts';
import { type Observable, observableKey } from '../../src/model/observable.ts';
import { parseTimestamp } from '../../src/model/timestamp.ts';
import { objectIdOf } from '../../src/stix/id.ts';
import { subjectOf } from '../../src/stix/pattern.ts';
import { stixTypeOf } from '../../src/stix/properties.ts';

export const NAMESPACE = '6f1c1b7e-52c4-4b5a-9d3b-0c7f4f2f9f11';
export const CREATED = parseTimestamp('2026-11-20T10:11:12.345Z') as number;

/** A journal entry on an observable, live unless told otherwise. */
export function indicatorEntry(observable: Observable, changes: Partial<IndicatorEntry> = {}): IndicatorEntry {
  const stixType = stixTypeOf(observable.type);
  return {
    kind: 'indicator',
    dateAdded: CREATED + 7,
    objectId: objectIdOf(NAMESPACE, 'pool:main', subjectOf(observable), CREATED + 7, stixType),
    version: CREATED,
    superseded: false,
    key: observableKey(observable),
    type: observable.type,
    value: observable.value,
    generation: CREATED + 7,
    created: CREATED,
    validFrom: CREATED,
    validUntil: CREATED + 30 * 86_400_000_000,
    revoked: false,
    reason: null,
    confidence: 85,
    tlp: 'green',
    firstSeen: null,
    lastSeen: null,
    name: null,
    description: null,
    labels: null,
    references: null,
    sources: jsonText([{ feed: 'socdefenders', feed_name: 'URLhaus', confidence: 85 }]),
    kept: null,
    fingerprint: 'f',
    due: null,
    ...changes,
  };
}

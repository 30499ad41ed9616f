import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Clock, MICROS_PER_DAY, type Micros } from '../../src/model/clock.ts';
import type { IndicatorEntry, ObjectEntry } from '../../src/model/entry.ts';
import type { EntryFilter } from '../../src/model/entry-filter.ts';
import { jsonText } from '../../src/model/json.ts';
import { type Observable, observableKey } from '../../src/model/observable.ts';
import type { Observation, StixObject } from '../../src/model/observation.ts';
import { floorToMillis } from '../../src/model/timestamp.ts';
import { Commits } from '../../src/store/commits.ts';
import type { Store, StoreEngine } from '../../src/store/engine.ts';
import { storeEngines } from '../../src/store/registry.ts';
import type { AppendEntry, LiveQuery, Reader, Transaction, Writer } from '../../src/store/store.ts';
import { type ScriptedClock, scriptedClock } from './clock.ts';

/** 2026-01-01T00:00:00Z: where scripted stores begin. */
export const START: Micros = 1_767_225_600_000_000;

export interface TemporaryStore {
  writer: Writer;
  /** On a connection of its own, as the serving thread has it. */
  reader: Reader;
  location: string;
}

/** The store of an engine with nothing configured. */
export function storeIn(directory: string, engine: StoreEngine = storeEngines.sqlite): Store {
  return engine.at({}, { base: directory, data: directory });
}

/** Locations given out so far. */
let locations = 0;

/** Where there is no store yet, whatever the engine. */
export function newLocation(t: Pick<Test, 'testdir'>): string {
  locations += 1;
  return join(t.testdir(), `store-${locations}`);
}

/** A new store in the test's own directory, closed when the test ends. */
export async function openTemporaryStore(
  t: Test,
  clock: Clock = scriptedClock(START),
  engine: StoreEngine = storeEngines.sqlite,
): Promise<TemporaryStore> {
  const location = newLocation(t);
  const commits = new Commits();
  const writer = await storeIn(location, engine).openWriter(clock, commits);
  const reader = await storeIn(location, engine).openReader(commits);
  t.teardown(async () => {
    await reader.close();
    await writer.close();
  });
  return { writer, reader, location };
}

export interface JournalStore extends TemporaryStore {
  clock: ScriptedClock;
}

/** The same with a scripted clock and a journal `pool:main`. */
export async function openJournalStore(
  t: Test,
  engine?: StoreEngine,
  keepVersions: 'last' | 'all' = 'last',
): Promise<JournalStore> {
  const clock = scriptedClock(START);
  const store = await openTemporaryStore(t, clock, engine);
  await store.writer.transaction((tx) => tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions }));
  return { ...store, clock };
}

/** A UUID that is always the same for the same name. */
export function uuidOf(name: string): string {
  const hex = hash('sha1', name, 'hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Everything but what is overridden follows from type and value (`domain`, `a.example`); the date is set by `append`. */
export function indicatorEntry(overrides: Partial<IndicatorEntry> = {}): IndicatorEntry {
  const type = overrides.type ?? 'domain';
  const value = overrides.value ?? 'a.example';
  const dateAdded = overrides.dateAdded ?? START;
  const created = overrides.created ?? floorToMillis(dateAdded);
  return {
    kind: 'indicator',
    dateAdded,
    objectId: `${type === 'cve' ? 'vulnerability' : 'indicator'}--${uuidOf(`${type}:${value}`)}`,
    version: created,
    superseded: false,
    key: observableKey({ type, value }),
    type,
    value,
    generation: dateAdded,
    created,
    validFrom: created,
    validUntil: created + 30 * MICROS_PER_DAY,
    revoked: false,
    reason: null,
    confidence: 80,
    tlp: 'green',
    firstSeen: created,
    lastSeen: created,
    name: `Malicious ${type}`,
    description: null,
    labels: jsonText(['botnet', 'malware']),
    references: null,
    sources: jsonText([{ feed: 'house', feed_name: 'House' }]),
    kept: null,
    fingerprint: hash('sha1', `${type}:${value}`, 'hex').slice(0, 16),
    due: null,
    ...overrides,
  };
}

/** A raw object, a `relationship` unless told otherwise. */
export function objectEntry(overrides: Partial<ObjectEntry> & { name?: string } = {}): ObjectEntry {
  const { name = 'one', ...rest } = overrides;
  const stixType = rest.stixType ?? 'relationship';
  const objectId = rest.objectId ?? `${stixType}--${uuidOf(name)}`;
  return {
    kind: 'object',
    dateAdded: START,
    objectId,
    version: START,
    superseded: false,
    stixType,
    isProducerObject: false,
    raw: jsonText({ type: stixType, id: objectId, spec_version: '2.1', name }),
    due: null,
    ...rest,
  };
}

export function observation(overrides: Partial<Observation> & Partial<Observable> = {}): Observation {
  const { type = 'domain', value = 'a.example', ...rest } = overrides;
  const observable = rest.observable ?? { type, value };
  return {
    key: observableKey(observable),
    observable,
    confidence: 80,
    tlp: 'green',
    firstSeen: START - MICROS_PER_DAY,
    lastSeen: START,
    validFrom: null,
    validUntil: null,
    revoked: false,
    sourceId: null,
    version: null,
    others: [],
    reportedAt: START,
    source: { feed_name: 'URLhaus', category: 'malware' },
    name: null,
    description: null,
    labels: ['botnet'],
    references: [],
    techniques: [],
    kept: null,
    ...rest,
  };
}

export function stixObject(overrides: Partial<StixObject> & { name?: string } = {}): StixObject {
  const { name = 'one', ...rest } = overrides;
  const type = rest.type ?? 'malware';
  const id = rest.id ?? `${type}--${uuidOf(name)}`;
  return { id, type, version: '2026-01-01T00:00:00.000Z', raw: { type, id, name }, ...rest };
}

/** A filter that admits everything in its last version. */
export function entryFilter(overrides: Partial<EntryFilter> = {}): EntryFilter {
  return {
    journal: 'pool:main',
    observableTypes: null,
    stixTypes: null,
    objectIds: null,
    versions: { last: true, first: false, all: false, exact: [] },
    ...overrides,
  };
}

/** The first hundred of all that lives. */
export function liveQuery(overrides: Partial<LiveQuery> = {}): LiveQuery {
  return {
    journal: 'pool:main',
    observableTypes: null,
    minConfidence: null,
    maxConfidence: null,
    since: null,
    before: null,
    offset: 0,
    limit: 100,
    ...overrides,
  };
}

/** Stamps and appends in the order given; answers the entries as they are kept. */
export async function appendEntries<E extends AppendEntry['entry']>(
  tx: Transaction,
  journal: string,
  entries: readonly E[],
  replaces: readonly (Micros | null)[] = [],
): Promise<E[]> {
  const dates = await tx.stamp(journal, entries.length);
  const stamped = entries.map((entry, i) => ({ ...entry, dateAdded: dates[i] ?? 0 }));
  await tx.append(
    journal,
    stamped.map((entry, i) => ({ entry, replaces: replaces[i] ?? null })),
  );
  return stamped;
}

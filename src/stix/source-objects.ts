import type { Micros } from '../model/clock.ts';
import type { Observation, OtherSourceObject } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isStixId } from './id.ts';

/** Which upstream objects say an observation, and which version is the older (STIX 2.1 section 3.6). */

/** Is `a` an older version than `b`? False where one of them has no date that can be believed. */
export function isOlder(a: Micros | null, b: Micros | null, now: Micros): boolean {
  return a !== null && b !== null && b <= now && a < b;
}

/** The upstream object that an observation was made from; null for rows, and for ids that name nothing for sure. */
export function sourceObjectId({ sourceId }: Observation): string | null {
  return isStixId(sourceId) ? sourceId : null;
}

/** The objects of its feed that say it, the one that it was made from first. */
export function sourceObjectsOf(observation: Observation): OtherSourceObject[] {
  const id = sourceObjectId(observation);
  if (id === null) return observation.others;
  const { version, validUntil, reportedAt, others } = observation;
  return [{ id, version, validUntil, reportedAt }, ...others];
}

export function versionOfObject(observation: Observation, id: string): Micros | null | undefined {
  return sourceObjectsOf(observation).find((statement) => statement.id === id)?.version;
}

export function timeOf(version: string | null | undefined): Micros | null {
  return version === null || version === undefined ? null : (parseTimestamp(version) ?? null);
}

/** What still stands of an observation when some of the objects that say it are gone: null for nothing. */
export function withoutSourceObjects(known: Observation, gone: ReadonlySet<string | null>): Observation | null {
  const all = sourceObjectsOf(known);
  const standing = all.filter(({ id }) => !gone.has(id));
  const [first, ...others] = standing;
  if (first === undefined) return null;
  if (standing.length === all.length) return known;
  const references = known.references.filter(({ external_id: id }) => id === undefined || !gone.has(id));
  const { id: sourceId, ...own } = first;
  return { ...known, ...own, sourceId, others, references };
}

/** A version that comes again was heard when it first came. */
export function keepReportedAt(version: Observation, known: Observation | null): Observation {
  const before = known === null ? undefined : sourceObjectsOf(known).find(({ id }) => id === version.sourceId);
  const isAgain = before !== undefined && before.version !== null && before.version === version.version;
  return isAgain ? { ...version, reportedAt: before.reportedAt } : version;
}

import type { Micros } from '../model/clock.ts';
import type { Observation, OtherSourceObject } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isStixId } from './id.ts';

/** The upstream objects of an observation and their versions (STIX 2.1 section 3.6). */

/** True when version `a` is older than `b`. False without a date, and when `b` is in the future. */
export function isOlder(a: Micros | null, b: Micros | null, now: Micros): boolean {
  return a !== null && b !== null && b <= now && a < b;
}

/** An observation that was made from a version of an upstream object. */
export interface Statement extends Observation {
  sourceId: string;
}

/** Ids of rows name no upstream object. */
export function isStatement(observation: Observation): observation is Statement {
  return isStixId(observation.sourceId);
}

/** The id of the upstream object that an observation was made from; null for rows, and for ids that are no STIX ids. */
export function sourceObjectId({ sourceId }: Observation): string | null {
  return isStixId(sourceId) ? sourceId : null;
}

/** All upstream objects of an observation, the one that it was made from first. */
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

/** Removes some of an observation's upstream objects; null when none is left. */
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

/** Keeps the `reportedAt` of a version that the feed reports again. */
export function keepReportedAt(version: Observation, known: Observation | null): Observation {
  const before = known === null ? undefined : sourceObjectsOf(known).find(({ id }) => id === version.sourceId);
  const isAgain = before !== undefined && before.version !== null && before.version === version.version;
  return isAgain ? { ...version, reportedAt: before.reportedAt } : version;
}

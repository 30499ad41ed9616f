import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import { defaultReach } from '../model/definition.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Observation } from '../model/observation.ts';
import { floorToMillis, formatMillis, parseTimestamp } from '../model/timestamp.ts';
import { normaliseRow } from '../normalise/row.ts';
import { identityId, objectIdOf } from '../stix/id.ts';
import { markingId } from '../stix/marking.ts';
import { formatPattern, subjectOf } from '../stix/pattern.ts';

/** The members that an indicator in one line may have, each read as a feed's column of that meaning. */
export const iocMembers = ['ioc', 'type', 'name', 'confidence', 'tlp', 'labels', 'description', 'valid_until'] as const;

/** Rows of clients go by the rules that rows of feeds have unless they say otherwise. */
const rules = { title: 'contributed', reach: defaultReach };

/** What a client says in one line. Any member that can't be read is the reason why it is refused: somebody waits for the answer. */
export function readIoc(row: JsonObject, now: Micros): Observation | { refused: string } {
  const unknown = Object.keys(row).find((name) => !(iocMembers as readonly string[]).includes(name));
  if (unknown !== undefined)
    return { refused: `${unknown.slice(0, 64)} is no member here: there are ${iocMembers.join(', ')}.` };
  const { ioc: value, valid_until: expires, ...same } = row;
  const read = normaliseRow({ ...same, value, expires }, rules, now);
  if ('reason' in read) return { refused: read.detail };
  const [note] = read.notes ?? [];
  const [observation] = read.observations;
  if (note !== undefined || observation === undefined) return { refused: note?.detail ?? 'nothing of it can be read' };
  if (observation.validUntil !== null && observation.validUntil <= now) return { refused: 'valid_until: it is over' };
  return observation;
}

/** The namespace of the store, and the journal of the collection. */
export interface Issued {
  namespace: string;
  journal: string;
}

/** The id of the object that says so: the same whoever says it and however it is spelt. */
export function idOfIoc({ observable }: Observation, { namespace, journal }: Issued): string {
  const type = observable.type === 'cve' ? 'vulnerability' : 'indicator';
  return objectIdOf(namespace, journal, subjectOf(observable), 0, type);
}

/**
 * The STIX object that says what a client said, as a version after `before`: `before` itself where it says the same. Members that are
 * not given are not kept from before.
 */
export function objectOfIoc(said: Observation, issued: Issued, before: JsonObject | null, now: Micros): JsonObject {
  const { observable, name, description, confidence, labels, tlp, validUntil } = said;
  const text = (property: string): string | null => {
    const value: Json | undefined = before?.[property];
    return typeof value === 'string' ? value : null;
  };
  const last = parseTimestamp(text('modified') ?? '') ?? 0;
  const modified = formatMillis(
    Math.max(floorToMillis(now), floorToMillis(last) + (before === null ? 0 : MICROS_PER_MS)),
  );
  const created = text('created') ?? modified;
  const isCve = observable.type === 'cve';
  const object: JsonObject = {
    type: isCve ? 'vulnerability' : 'indicator',
    spec_version: '2.1',
    id: idOfIoc(said, issued),
    created_by_ref: identityId(issued.namespace),
    created,
    modified,
    name: isCve ? observable.value : (name ?? observable.value),
    ...(description === null ? {} : { description }),
    ...(isCve
      ? { external_references: [{ source_name: 'cve', external_id: observable.value }] }
      : {
          pattern: formatPattern(observable),
          pattern_type: 'stix',
          pattern_version: '2.1',
          valid_from: text('valid_from') ?? created,
          ...(validUntil === null ? {} : { valid_until: formatMillis(validUntil) }),
        }),
    ...(confidence === null ? {} : { confidence }),
    ...(labels.length === 0 ? {} : { labels }),
    ...(tlp === null ? {} : { object_marking_refs: [markingId(tlp)] }),
  };
  const isSame =
    before !== null && JSON.stringify({ ...object, modified: text('modified') }) === JSON.stringify(before);
  return isSame ? before : object;
}

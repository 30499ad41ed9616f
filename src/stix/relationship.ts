import type { StixObject } from '../model/observation.ts';

/**
 * Relations (STIX 2.1 section 5) to objects that are merged when they are read: indicators and vulnerabilities, which are
 * served under ids of ours.
 */

/** The properties of a relation that name such an object. */
const ENDS: Readonly<Record<string, readonly string[]>> = {
  relationship: ['source_ref', 'target_ref'],
  sighting: ['sighting_of_ref'],
};

/** One end of a relation. */
export interface RelationshipEnd {
  property: string;
  id: string;
}

const NONE: readonly RelationshipEnd[] = [];

/** The ends of a relation that may be merged; empty for any other object. At most two. */
export function relationshipEnds({ type, raw }: Pick<StixObject, 'type' | 'raw'>): readonly RelationshipEnd[] {
  return (
    ENDS[type]?.flatMap((property) => {
      const id = raw[property];
      return typeof id === 'string' && isMergeableId(id) ? [{ property, id }] : [];
    }) ?? NONE
  );
}

/** May what has this id be merged, instead of being served as it came? */
export function isMergeableId(id: string): boolean {
  return id.startsWith('indicator--') || id.startsWith('vulnerability--');
}

/** May what has this id have ends? */
export function isRelationshipId(id: string): boolean {
  return id.startsWith('relationship--') || id.startsWith('sighting--');
}

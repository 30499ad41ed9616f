import type { StixObject } from '../model/observation.ts';

/**
 * Relationship objects (STIX 2.1 section 5) and their ends. Ends that are indicators or vulnerabilities are served under ids of Sluice,
 * because these are merged.
 */

/** The properties that name the ends, by type. */
const ENDS: Readonly<Record<string, readonly string[]>> = {
  relationship: ['source_ref', 'target_ref'],
  sighting: ['sighting_of_ref'],
};

/** One end of a relationship or sighting. */
export interface RelationshipEnd {
  property: string;
  id: string;
}

const NONE: readonly RelationshipEnd[] = [];

/** The ends of a relationship or sighting that are indicators or vulnerabilities, at most two; empty for any other object. */
export function relationshipEnds({ type, raw }: Pick<StixObject, 'type' | 'raw'>): readonly RelationshipEnd[] {
  return (
    ENDS[type]?.flatMap((property) => {
      const id = raw[property];
      return typeof id === 'string' && isMergeableId(id) ? [{ property, id }] : [];
    }) ?? NONE
  );
}

/** True for the id of an indicator or vulnerability, which may be merged. */
export function isMergeableId(id: string): boolean {
  return id.startsWith('indicator--') || id.startsWith('vulnerability--');
}

/** True for the id of a relationship or sighting. */
export function isRelationshipId(id: string): boolean {
  return id.startsWith('relationship--') || id.startsWith('sighting--');
}

import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { isWithin, strictest, type Tlp, tlpLevels } from '../model/tlp.ts';

/**
 * TLP markings. TLP 2.0 as OASIS' extension definition 60a3c5c5 fixes it (cti-stix-common-objects,
 * extension-definition-specifications/tlp-2.0), TLP 1 as STIX 2.1 section 7.2.1.4 does. Both are read; which is written is a
 * setting.
 */
export type TlpVersion = 1 | 2;

const TLP2_EXTENSION = 'extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d';
const TLP2_CREATED = '2022-10-01T00:00:00.000Z';
const TLP1_CREATED = '2017-01-20T00:00:00.000Z';

const tlp2Ids: Record<Tlp, string> = {
  clear: 'marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487',
  green: 'marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb',
  amber: 'marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421',
  'amber+strict': 'marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003',
  red: 'marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1',
};

const RED_TLP1 = 'marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed';
const tlp1Ids: Record<Tlp, string> = {
  clear: 'marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9',
  green: 'marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da',
  amber: 'marking-definition--f88d31f6-486f-44da-b317-01333bde0b82',
  // TLP 1 has no such level; a marking may become stricter on the way, never milder.
  'amber+strict': RED_TLP1,
  red: RED_TLP1,
};

const tlp1Words: Record<Exclude<Tlp, 'amber+strict'>, string> = {
  clear: 'white',
  green: 'green',
  amber: 'amber',
  red: 'red',
};

/** Every level by both of its ids; TLP 1's red is red. */
const tlpById = new Map<string, Tlp>(tlpLevels.flatMap((tlp) => [[tlp1Ids[tlp], tlp] as const, [tlp2Ids[tlp], tlp]]));

/** The marking-definition id that an object of this level refers to. */
export function markingId(tlp: Tlp, version: TlpVersion = 2): string {
  return version === 1 ? tlp1Ids[tlp] : tlp2Ids[tlp];
}

/** Is this the id of a TLP marking, of either version? */
export function isTlpMarking(ref: string): boolean {
  return tlpById.has(ref.toLowerCase());
}

/** The strictest TLP among marking refs of both versions; null when none of them is TLP. Other markings are ignored. */
export function tlpOfMarkings(refs: readonly string[]): Tlp | null {
  let found: Tlp | null = null;
  for (const ref of refs) {
    const tlp = tlpById.get(ref.toLowerCase());
    if (tlp !== undefined) found = found === null ? tlp : strictest(found, tlp);
  }
  return found;
}

/**
 * The strictest TLP that a STIX object carries, in `object_marking_refs` or on any of its parts: a part that may not be
 * shown makes the whole unshowable. A TLP marking definition is of its own level. Null when it says nothing.
 */
export function tlpOfObject(object: JsonObject): Tlp | null {
  const refs = textsOf(object['object_marking_refs']);
  const granular = object['granular_markings'];
  for (const marking of Array.isArray(granular) ? granular : []) {
    if (isJsonObject(marking)) refs.push(...textsOf([marking['marking_ref'] ?? null]));
  }
  return tlpOfMarkings(refs);
}

/** Markings that are not TLP (a licence, a statement), on the object or on any of its parts. */
export function statementsOf(object: JsonObject): Json[] {
  const whole = object['object_marking_refs'];
  const granular = object['granular_markings'];
  const parts = (Array.isArray(granular) ? granular : []).flatMap((marking) =>
    isJsonObject(marking) && marking['marking_ref'] !== undefined ? [marking['marking_ref']] : [],
  );
  const refs = [...(Array.isArray(whole) ? whole : []), ...parts];
  return [...new Set(refs)].filter((ref) => !(typeof ref === 'string' && isTlpMarking(ref)));
}

/** Markings other than TLP that one object may bear. */
export const MAX_STATEMENTS = 64;

/**
 * Kept properties with the markings that are not TLP of all the given. A marking binds whoever passes on, so none is lost
 * when sources merge. They come first, where the renderer looks for them.
 */
export function withStatements(kept: JsonObject | null, all: readonly (JsonObject | null)[]): JsonObject | null {
  const statements = [...new Set(all.flatMap((one) => textsOf(one?.['object_marking_refs'])))];
  if (statements.length === 0) return kept;
  const { object_marking_refs: _, ...others } = kept ?? {};
  return { object_marking_refs: statements.sort().slice(0, MAX_STATEMENTS), ...others };
}

function textsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((ref) => typeof ref === 'string') : [];
}

/** The marking definitions that objects up to a ceiling refer to, mildest first, exactly as their publishers issue them. */
export function markingsUpTo(ceiling: Tlp, version: TlpVersion = 2): StixObject[] {
  const levels = tlpLevels.filter((tlp) => isWithin(tlp, ceiling));
  if (version === 2) return levels.map(tlp2Object);
  const words = new Map(levels.map((tlp) => [tlp1Ids[tlp], tlp === 'amber+strict' ? 'red' : tlp1Words[tlp]]));
  return [...words].map(([id, word]) => tlp1Object(id, word));
}

function tlp2Object(tlp: Tlp): StixObject {
  const id = tlp2Ids[tlp];
  return {
    id,
    type: 'marking-definition',
    version: TLP2_CREATED,
    raw: {
      type: 'marking-definition',
      spec_version: '2.1',
      id,
      created: TLP2_CREATED,
      name: `TLP:${tlp.toUpperCase()}`,
      extensions: { [TLP2_EXTENSION]: { extension_type: 'property-extension', tlp_2_0: tlp } },
    },
  };
}

function tlp1Object(id: string, word: string): StixObject {
  return {
    id,
    type: 'marking-definition',
    version: TLP1_CREATED,
    raw: {
      type: 'marking-definition',
      spec_version: '2.1',
      id,
      created: TLP1_CREATED,
      definition_type: 'tlp',
      name: `TLP:${word.toUpperCase()}`,
      definition: { tlp: word },
    },
  };
}

import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { isWithin, stricter, type Tlp, tlpLevels, tlpOfTag, tlpOfWord } from '../model/tlp.ts';

/**
 * TLP markings: TLP 2.0 of OASIS' extension definition 60a3c5c5 (cti-stix-common-objects,
 * extension-definition-specifications/tlp-2.0), and TLP 1 of STIX 2.1 section 7.2.1.4. Both are read. A setting selects which is written.
 */
export type TlpVersion = 1 | 2;

export const TLP2_EXTENSION = 'extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d';
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
  // TLP 1 has no such level, so the next stricter one is used.
  'amber+strict': RED_TLP1,
  red: RED_TLP1,
};

const tlp1Words: Record<Exclude<Tlp, 'amber+strict'>, string> = {
  clear: 'white',
  green: 'green',
  amber: 'amber',
  red: 'red',
};

/** OpenCTI's id of a level that TLP 1 does not have, the same on all its platforms. */
const OPENCTI_AMBER_STRICT = 'marking-definition--826578e1-40ad-459f-bc73-ede076f81f37';

/** Levels by the ids of their markings. TLP 1's red is red. */
const tlpById = new Map<string, Tlp>([
  ...tlpLevels.flatMap((tlp) => [[tlp1Ids[tlp], tlp] as const, [tlp2Ids[tlp], tlp] as const]),
  [OPENCTI_AMBER_STRICT, 'amber+strict'],
]);

/** The marking-definition id that an object of this level refers to. */
export function markingId(tlp: Tlp, version: TlpVersion = 2): string {
  return version === 1 ? tlp1Ids[tlp] : tlp2Ids[tlp];
}

/** The level of a TLP marking by its id, of either version; null for other ids. */
export function tlpOfId(ref: string): Tlp | null {
  return tlpById.get(ref) ?? tlpById.get(ref.toLowerCase()) ?? null;
}

/** The ids of all TLP markings that are ever issued, of both versions. */
export const tlpMarkingIds: readonly string[] = [...tlpById.keys()].filter((id) => id !== OPENCTI_AMBER_STRICT);

/** The markings of an object and of its parts. */
export interface ObjectMarkings {
  /** The strictest level that can be read from the object alone; null for none. */
  tlp: Tlp | null;
  /** Ids of markings whose definitions are needed: a publisher's own level, a licence, a statement. */
  others: string[];
  /** References that are neither an id nor a level, and those beyond MAX_OTHER_MARKINGS; they count as red. */
  unreadable: Json[];
}

/**
 * Reads the markings of an object. The markings of a part count for the whole object, because a part can't be left out. A marking that
 * can't be read is red.
 */
export function objectMarkings(object: JsonObject): ObjectMarkings {
  const marked: ObjectMarkings = { tlp: null, others: [], unreadable: [] };
  for (const ref of refsOf(object)) {
    const level = typeof ref === 'string' ? (tlpOfId(ref) ?? tlpOfWord(ref.trim())) : null;
    if (level !== null) marked.tlp = stricter(marked.tlp, level);
    else if (typeof ref === 'string' && isMarkingRef(ref)) marked.others.push(ref);
    else {
      marked.unreadable.push(ref);
      marked.tlp = 'red';
    }
  }
  if (marked.others.length > 1) marked.others = [...new Set(marked.others)];
  const surplus = marked.others.splice(MAX_OTHER_MARKINGS);
  if (surplus.length > 0) {
    marked.unreadable.push(...surplus);
    marked.tlp = 'red';
  }
  return marked;
}

/** The marking references of an object. STIX allows lists only; a single reference is read as a list of one. */
function refsOf(object: JsonObject): Json[] {
  const refs = listOf(object['object_marking_refs']);
  for (const part of listOf(object['granular_markings'])) {
    // A granular marking without a reference names the language of a part (STIX 2.1 section 7.2.3.1).
    if (!isJsonObject(part)) refs.push(part);
    else if (part['marking_ref'] !== undefined && part['marking_ref'] !== null) refs.push(part['marking_ref']);
  }
  return refs;
}

function listOf(value: Json | undefined): Json[] {
  if (value === undefined || value === null || value === '') return [];
  return Array.isArray(value) ? value.filter((item) => item !== null) : [value];
}

/** Also true for an id without a UUID, which normalise/stix-id.ts replaces. */
function isMarkingRef(ref: string): boolean {
  return ref.startsWith('marking-definition--') && ref.length > 20 && ref.length <= MAX_REF;
}

const MAX_REF = 1024;
/** Markings other than TLP that are read of one object. */
export const MAX_OTHER_MARKINGS = 64;

/** The strictest level among an object's labels: some publishers use the label `tlp:red` instead of a marking. */
export function tlpOfLabels(labels: Json | undefined): Tlp | null {
  let found: Tlp | null = null;
  for (const label of listOf(labels)) {
    const text = isJsonObject(label) ? label['name'] : label;
    if (typeof text === 'string') found = stricter(found, tlpOfTag(text.trim()));
  }
  return found;
}

/**
 * Adds to kept properties the markings other than TLP of all sources, so that none is lost when sources merge. They come first, where
 * the renderer finds them fastest (json-columns.ts).
 */
export function withOtherMarkings(kept: JsonObject | null, all: readonly (JsonObject | null)[]): JsonObject | null {
  const statements = [...new Set(all.flatMap((one) => textsOf(one?.['object_marking_refs'])))];
  if (statements.length === 0) return kept;
  const { object_marking_refs: _, ...others } = kept ?? {};
  return { object_marking_refs: statements.sort().slice(0, MAX_OTHER_MARKINGS), ...others };
}

/** The markings other than TLP among an observation's kept properties. */
export function otherMarkingsOf(kept: JsonObject | null): string[] {
  return kept === null ? [] : textsOf(kept['object_marking_refs']);
}

function textsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((ref) => typeof ref === 'string') : [];
}

/** The TLP marking definitions up to a ceiling, mildest first, exactly as OASIS issues them. */
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

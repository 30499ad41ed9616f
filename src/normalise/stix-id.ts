import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { isStixId, uuidV5 } from '../stix/id.ts';

/**
 * Replaces ids that are no STIX ids ("identity--socdefenders", an id of another type, none at all) by UUIDv5 ids. Within a feed
 * the same text always becomes the same id, so references to an object still point at it, whichever comes first.
 */
const NAMESPACE = 'c1fb4a64-0a2e-4d0c-8f0f-6d8b2c5f7a31';
const TYPE = /^[a-z][a-z0-9-]{1,248}[a-z0-9]$/;
/** Longer texts are not taken for ids. */
const MAX_ID = 1024;

/** Returns the object with a valid id and valid references where they can be made; the object itself when nothing is wrong. */
export function withSoundIds(object: JsonObject, feed: string): JsonObject {
  const { type, id } = object;
  if (typeof type !== 'string' || !TYPE.test(type) || type === 'bundle') return object;
  const changed: JsonObject = {};
  if (!isStixId(id, type)) {
    const name = nameOf(id, object);
    if (name !== null) changed['id'] = mint(type, name, feed);
  }
  for (const [property, value] of Object.entries(object)) {
    if (property.endsWith('_ref')) {
      const sound = soundReference(value, feed);
      if (sound !== value) changed[property] = sound;
    } else if (property.endsWith('_refs') && Array.isArray(value)) {
      const sound = value.map((ref) => soundReference(ref, feed));
      if (sound.some((ref, i) => ref !== value[i])) changed[property] = sound;
    }
  }
  const parts = object['granular_markings'];
  if (Array.isArray(parts)) {
    const sound = parts.map((part) => {
      const ref = isJsonObject(part) ? (part['marking_ref'] ?? null) : null;
      const id = soundReference(ref, feed);
      return id === ref ? part : { ...(part as JsonObject), marking_ref: id };
    });
    if (sound.some((part, i) => part !== parts[i])) changed['granular_markings'] = sound;
  }
  return Object.keys(changed).length === 0 ? object : { ...object, ...changed };
}

/** The text that the new id is made from: the old id, else the content without the time of its last change. */
function nameOf(id: Json | undefined, object: JsonObject): string | null {
  if (typeof id === 'string' && id !== '' && id.length <= MAX_ID) return id;
  try {
    return JSON.stringify({ ...object, id: null, modified: null });
  } catch {
    // Too deep for the stack: refused later, with its reason.
    return null;
  }
}

/** A text that does not look like a reference is returned as it is; validation refuses it or leaves it out. */
export function soundReference(ref: Json, feed: string): Json {
  const isSound: boolean = isStixId(ref);
  if (isSound || typeof ref !== 'string' || ref.length > MAX_ID) return ref;
  const [type = ''] = ref.split('--', 1);
  return TYPE.test(type) && ref.length > type.length + 2 ? mint(type, ref, feed) : ref;
}

function mint(type: string, name: string, feed: string): string {
  return `${type}--${uuidV5(NAMESPACE, `${feed}\n${type}\n${name}`)}`;
}

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * An object id as its STIX type and the word that stands for the rest in SQL: 32 hex digits of a UUID in canonical form,
 * or a colon and whatever else a foreign id has there, so that every id comes back as it came.
 */
export function splitObjectId(objectId: string): { stixType: string; word: string } | undefined {
  const at = objectId.indexOf('--');
  if (at < 1) return undefined;
  const uuid = markedUuid(objectId, at + 2);
  return { stixType: objectId.slice(0, at), word: uuid.startsWith(':') ? uuid : uuid.replaceAll('-', '') };
}

/** What stands behind the type of an object id: as it is when it is a UUID in canonical form, else with a colon before it. */
export function markedUuid(objectId: string, from: number): string {
  const rest = objectId.slice(from);
  return CANONICAL_UUID.test(rest) ? rest : `:${rest}`;
}

/** `word` as splitObjectId answers it, or its digits in capitals. */
export function joinObjectId(stixType: string, word: string): string {
  if (word.startsWith(':')) return `${stixType}--${word.slice(1)}`;
  const hex = word.toLowerCase();
  // In pieces of twelve characters: V8 writes shorter strings out at once and only ties longer ones together.
  const first = `${hex.slice(0, 8)}-${hex.slice(8, 11)}`;
  const second = `${hex.slice(11, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-`;
  return `${stixType}--${first}${second}${hex.slice(20)}`;
}

/** SQL that makes a word of splitObjectId the value of column `uuid`. */
export function uuidFromWord(word: string): string {
  return `iif(substr(${word}, 1, 1) = ':', substr(${word}, 2), unhex(${word}))`;
}

import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { stricter, type Tlp, tlpOfTag, tlpOfWord } from '../model/tlp.ts';
import { TLP2_EXTENSION, tlpOfId } from './marking.ts';

/**
 * The TLP level that a marking definition gives to objects that refer to it. It may be in the form of STIX 2.1 section 7.2.1.4 or of
 * OASIS' TLP 2.0 extension, with a publisher's own id, in OpenCTI's properties, or in the name only. The definition's own labels and
 * markings are about the definition itself, as with any other object.
 */

/** The level; null for a definition that is not TLP, such as a statement or licence. TLP of no known level is red. */
export function tlpOfDefinition(definition: JsonObject): Tlp | null {
  const { id, name, definition_type: type } = definition;
  const known = typeof id === 'string' ? tlpOfId(id) : null;
  // The ids of OASIS and OpenCTI keep their meaning, whatever the definition holds.
  if (known !== null) return known;
  const isTlp = typeof type === 'string' && /^tlp(?![a-z])/i.test(type.trim());
  const words = [...extensionWords(definition), ...definitionWords(definition, isTlp), ...openCtiWords(definition)];
  let found = typeof name === 'string' ? tlpOfTag(name.trim()) : null;
  for (const word of words) found = stricter(found, levelOf(word));
  return found ?? (isTlp ? 'red' : null);
}

function levelOf(word: Json): Tlp {
  return (typeof word === 'string' ? tlpOfWord(word.trim()) : null) ?? 'red';
}

function extensionWords({ extensions }: JsonObject): Json[] {
  if (!isJsonObject(extensions)) return [];
  return Object.entries(extensions).flatMap(([id, extension]) => {
    const word = isJsonObject(extension) ? extension['tlp_2_0'] : undefined;
    if (word !== undefined) return [word];
    return id === TLP2_EXTENSION ? [null] : [];
  });
}

/** `definition: { tlp: "red" }`, with the key in any case; a statement that begins with `TLP:`; the bare word. */
function definitionWords({ definition }: JsonObject, isTlp: boolean): Json[] {
  if (typeof definition === 'string') return isTlp ? [definition] : claims(definition);
  if (!isJsonObject(definition)) return [];
  return Object.entries(definition).flatMap(([key, value]) => {
    if (/^tlp(?![a-z])/i.test(key)) return [value];
    return typeof value === 'string' ? claims(value) : [];
  });
}

function openCtiWords({ x_opencti_definition_type: type, x_opencti_definition: word }: JsonObject): Json[] {
  if (typeof type === 'string' && /^tlp(?![a-z])/i.test(type.trim())) return [word ?? null];
  return typeof word === 'string' ? claims(word) : [];
}

function claims(text: string): Json[] {
  const level = tlpOfTag(text.trim());
  return level === null ? [] : [level];
}

export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** JSON text, already serialised: spliced into an answer as it stands, never escaped again. */
export type JsonText = string & { readonly brand: 'JsonText' };

export function jsonText(value: unknown): JsonText {
  return JSON.stringify(value) as JsonText;
}

/** Most values in one JSON text that is parsed: each takes some fifty bytes then, though `{}` is written in two. */
export const MAX_JSON_VALUES = 1_000_000;

/** Would parsing it take memory out of all proportion? What stands inside strings counts as well. */
export function hasTooManyValues(text: string): boolean {
  if (text.length <= MAX_JSON_VALUES) return false;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === BRACKET || code === BRACE) values += 1;
  }
  return values > MAX_JSON_VALUES;
}

const [COMMA, BRACKET, BRACE] = [0x2c, 0x5b, 0x7b];

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same with its members in one order at every depth, so that equal content is equal text however it was ordered. */
export function sortMembers(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sortMembers);
  const members = value as Record<string, unknown>;
  // fromEntries defines its members: one named __proto__ is content like any other.
  return Object.fromEntries(
    Object.keys(members)
      .sort()
      .map((name) => [name, sortMembers(members[name])]),
  );
}

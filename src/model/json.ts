export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** JSON text of a value of type T. It is written into other JSON text as it is. */
export type JsonText<T = any> = string & { readonly brand: 'JsonText'; readonly value?: T };

export function jsonText<T>(value: T): JsonText<T> {
  return trustJson(JSON.stringify(value));
}

export function parseJson<T>(text: JsonText<T>): T {
  return JSON.parse(text);
}

/** Declares text that was put together by hand to be JSON. Nothing checks it: the caller's tests have to. */
export function trustJson<T>(text: string): JsonText<T> {
  return text as JsonText<T>;
}

/** Most values of one JSON text that is parsed. A parsed value takes some fifty bytes, even `{}`, which is written in two. */
export const MAX_JSON_VALUES = 1_000_000;

/** True when a text may hold more than MAX_JSON_VALUES values. Commas and brackets inside strings are counted as well. */
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

/** Returns the value with the members of all objects sorted by name, so that equal content gives equal text. */
export function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers);
  if (!isJsonObject(value)) return value;
  // Object.fromEntries defines its members, so `__proto__` is a name like any other.
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sortMembers(value[name])]),
  );
}

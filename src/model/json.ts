export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** JSON text, already serialised: spliced into an answer as it stands, never escaped again. */
export type JsonText = string & { readonly brand: 'JsonText' };

export function jsonText(value: unknown): JsonText {
  return JSON.stringify(value) as JsonText;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

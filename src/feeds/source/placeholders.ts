/** What stands in braces in an address, a header or a body: {key}, {secret:NAME}, {since}. */

/** Values by what stands in the braces. */
export type Placeholders = ReadonlyMap<string, string>;

/** Other text in braces, as in JSON, is no placeholder. */
const PLACEHOLDER = /\{(key|since|secret:[^{}"\s]*)\}/g;

/** What stands in the braces of all placeholders of a text, in their order. */
export function placeholdersIn(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].flatMap(([, inside]) => inside ?? []);
}

/** Replaces the placeholders that have a value, each value written by `encode`. What a value holds is not looked at again. */
export function fill(text: string, values: Placeholders, encode: (value: string) => string): string {
  return text.replaceAll(PLACEHOLDER, (whole, inside: string) => {
    const value = values.get(inside);
    return value === undefined ? whole : encode(value);
  });
}

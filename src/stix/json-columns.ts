import type { Claim } from '../model/entry.ts';
import { type JsonObject, type JsonText, jsonText, parseJson, trustJson } from '../model/json.ts';
import { differentPublishers } from '../model/publisher.ts';

/**
 * Reads the JSON columns of an entry without parsing them, for the renderer: parsing and serialising them again takes most of the
 * time of a page (bench/render.ts). test/stix/render.test.ts compares each function with one that parses.
 */

const MARKINGS = '{"object_marking_refs":';

/** Splits kept properties into `object_marking_refs` (null: none) and the text of the other members: `,"lang":"en"` or nothing. */
export function splitKept(kept: JsonText<JsonObject> | null): { markings: JsonText<string[]> | null; members: string } {
  if (kept === null || kept.length <= 2) return { markings: null, members: '' };
  if (kept.startsWith(MARKINGS)) {
    const end = kept.indexOf(']') + 1;
    return { markings: trustJson(kept.slice(MARKINGS.length, end)), members: kept.slice(end, -1) };
  }
  if (!hasMember(kept, 'object_marking_refs')) return { markings: null, members: `,${kept.slice(1, -1)}` };
  // merge.ts puts the markings first, so this is for other orders only.
  const { object_marking_refs: markings = [], ...others } = parseJson(kept);
  return splitKept(jsonText({ object_marking_refs: markings, ...others }));
}

/** True when the object itself has this member. An object inside it may have one of the same name. */
export function hasMember(text: JsonText<JsonObject>, name: string): boolean {
  const key = `"${name}":`;
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + key.length)) {
    if (depthAt(text, at) === 1) return true;
  }
  return false;
}

/** How many objects are open at this index, which lies outside of strings. */
function depthAt(text: string, end: number): number {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isText && code === BACKSLASH) at += 1;
    else if (code === QUOTE) isText = !isText;
    else if (!isText && code === OPEN) depth += 1;
    else if (!isText && code === CLOSE) depth -= 1;
  }
  return depth;
}

const [QUOTE, BACKSLASH, OPEN, CLOSE] = [0x22, 0x5c, 0x7b, 0x7d];

const NAME_KEY = '"feed_name":"';

/** The first `most` different publishers, joined by commas and escaped as in JSON; null where there are none. */
export function sourceNames(sources: JsonText<Claim[]>, most: number): string | null {
  const start = sources.indexOf(NAME_KEY);
  if (start < 0) return null;
  // Most entries have one source.
  if (!sources.includes('},{')) return nameAt(sources, start);
  let names: string[] = [];
  for (let at = start; at >= 0 && names.length < most; at = sources.indexOf(NAME_KEY, at + NAME_KEY.length)) {
    names = differentPublishers([...names, nameAt(sources, at)]);
  }
  return names.join(', ');
}

/** The value of the `feed_name` at this index. The key can't be inside a string, because quotes are escaped there. */
function nameAt(sources: string, at: number): string {
  const start = at + NAME_KEY.length;
  let end = sources.indexOf('"', start);
  while (end > 0 && isEscaped(sources, end)) end = sources.indexOf('"', end + 1);
  return sources.slice(start, end);
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
  return slashes % 2 === 1;
}

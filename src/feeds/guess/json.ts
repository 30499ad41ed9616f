import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import { type Column, type Guess, guessFields, type Meaning } from './columns.ts';
import { guessAutonomousSystems, guessPulses } from './known.ts';

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
/** Items that are looked at, and members of one. */
const MAX_ITEMS = 200;
const MAX_MEMBERS = 64;
/** Members of this depth may be cut off at the end of a document that is only known in part. */
const CUT_DEPTH = 4;

/** JSON by what it holds. Null for what is no JSON, or holds no values. */
export function guessJson(text: string, meaning: Meaning): Guess | null {
  const lines = objectsOfLines(text);
  if (lines !== null) {
    if (lines.every(isStix)) return { format: 'stix', options: {}, why: 'a STIX object a line' };
    const systems = guessAutonomousSystems(lines);
    if (systems !== null) return systems;
    const fields = fieldsOf(lines, meaning);
    return fields === null ? null : { format: 'json', options: { lines: true, fields }, why: 'a JSON object a line' };
  }
  const root = parseStart(text);
  if (Array.isArray(root)) return root.length > 0 && root.every(isStix) ? stixList : guessItems('$[*]', root, meaning);
  if (!isJsonObject(root)) return null;
  if (isBundle(root)) return stixList;
  if (isDiscovery(root)) return { format: 'taxii', options: {}, why: 'the discovery of a TAXII server' };
  if (isManifest(root)) return { format: 'misp-feed', options: {}, why: 'the manifest of a MISP feed' };
  return guessPulses(root) ?? guessMembers(root, meaning);
}

const stixList: Guess = { format: 'stix', options: {}, why: 'STIX objects' };

/** Null unless each line is an object of its own. */
function objectsOfLines(text: string): JsonObject[] | null {
  // The last line may be cut.
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const whole = lines.length > 1 ? lines.slice(0, Math.min(MAX_ITEMS, lines.length - 1)) : [];
  const objects = whole.map(parsed).filter((one) => one !== undefined && isJsonObject(one));
  return objects.length > 0 && objects.length === whole.length ? objects : null;
}

function isStix(value: Json): boolean {
  return isJsonObject(value) && typeof value['id'] === 'string' && value['id'].startsWith(`${value['type']}--`);
}

function isBundle(root: JsonObject): boolean {
  const { objects } = root;
  return root['type'] === 'bundle' || (Array.isArray(objects) && objects.length > 0 && objects.every(isStix));
}

/** TAXII 2.1 section 4.1. */
function isDiscovery(root: JsonObject): boolean {
  return typeof root['title'] === 'string' && (Array.isArray(root['api_roots']) || typeof root['default'] === 'string');
}

function isManifest(root: JsonObject): boolean {
  const [first] = Object.entries(root);
  return (
    first !== undefined &&
    UUID.test(first[0]) &&
    isJsonObject(first[1]) &&
    'timestamp' in first[1] &&
    'info' in first[1]
  );
}

/** An object with a list among its members, or one whose members are all lists. */
function guessMembers(root: JsonObject, meaning: Meaning): Guess | null {
  const lists = Object.entries(root).filter((entry): entry is [string, Json[]] => Array.isArray(entry[1]));
  if (lists.length > 1 && lists.length === Object.keys(root).length) {
    const all = guessItems(
      '$.*[*]',
      lists.slice(0, MAX_ITEMS).flatMap(([, list]) => list),
      meaning,
    );
    if (all !== null) return all;
  }
  const longest = lists.filter(([name]) => /^[A-Za-z_][\w-]*$/.test(name)).sort((a, b) => b[1].length - a[1].length);
  for (const [name, list] of longest) {
    const path = /^\w+$/.test(name) ? `$.${name}[*]` : `$['${name}'][*]`;
    const guess = guessItems(path, list, meaning);
    if (guess !== null) return guess;
  }
  return lists.length === 1 && lists[0] !== undefined ? guessItems('$.*[*]', lists[0][1], meaning) : null;
}

function guessItems(items: string, list: readonly Json[], meaning: Meaning): Guess | null {
  const texts = list.filter((item) => typeof item === 'string');
  if (texts.length > 0 && texts.length === list.length) {
    const isList = guessFields([{ selector: '$', name: '', cells: texts.slice(0, MAX_ITEMS) }], meaning) !== null;
    return isList ? { format: 'json', options: { items, fields: { value: '$' } }, why: 'a list of values' } : null;
  }
  const fields = fieldsOf(list.filter(isJsonObject), meaning);
  return fields === null ? null : { format: 'json', options: { items, fields }, why: `items at ${items}` };
}

function fieldsOf(items: readonly JsonObject[], meaning: Meaning): Record<string, unknown> | null {
  const looked = items.slice(0, MAX_ITEMS);
  const names = [...new Set(looked.flatMap((item) => Object.keys(item)))].slice(0, MAX_MEMBERS);
  const columns = names
    .filter((name) => /^[\w-]+$/.test(name))
    .map((name): Column => ({ selector: name, name, cells: looked.map((item) => cellOf(item[name])) }));
  return guessFields(columns, meaning);
}

function cellOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** Parses a document, or of one that is cut all that is whole. */
function parseStart(text: string): Json | undefined {
  const whole = parsed(text);
  if (whole !== undefined) return whole;
  const { end, open } = lastMember(text);
  return end === 0 ? undefined : parsed(`${text.slice(0, end)}${open}`);
}

/** The last comma behind a whole member, and what closes the text before it. */
function lastMember(text: string): { end: number; open: string } {
  const closers: string[] = [];
  let found = { end: 0, open: '' };
  let isText = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isText) {
      if (character === '\\') at += 1;
      else if (character === '"') isText = false;
    } else if (character === '"') isText = true;
    else if (character === '{') closers.push('}');
    else if (character === '[') closers.push(']');
    else if (character === '}' || character === ']') closers.pop();
    else if (character === ',' && closers.length <= CUT_DEPTH) {
      found = { end: at, open: closers.toReversed().join('') };
    }
  }
  return found;
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

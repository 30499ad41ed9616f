import { ANALYST_LABELS } from '../model/analyst-verdict.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import { isJsonObject } from '../model/json.ts';
import type { ExternalReference } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { stricter, type Tlp, tlpOfTag, tlpOfWord } from '../model/tlp.ts';
import { normaliseReference } from '../stix/external-reference.ts';
import { rowText } from '../stix/validate.ts';
import { parsePort } from './parsed.ts';

/**
 * Reads the properties of a row besides its value. Each reader takes anything, returns what it could read, and complains about
 * the rest: an unreadable property never costs the row, and is always noted.
 */
export type Complain = (property: string, fault: string) => void;

export const MAX_LABELS = 64;
export const MAX_LABEL = 200;
export const MAX_REFERENCES = 32;
export const MAX_NAME = 512;
/** With `malware-family:` before it, it is a label. */
export const MAX_FAMILY = 180;
export const MAX_DESCRIPTION = 4000;

/** Absent, null and empty text mean the same: the feed says nothing of it. */
export function isNothing(value: unknown): value is null | undefined | '' {
  return value === undefined || value === null || value === '';
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const NO_ZONE = /^(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)(?: ?UTC| ?GMT)?$/;
const UNIX = /^\d{9,10}$/;
/** Past this year a date means "for ever", as 9999-12-31 does in many exports. */
const FOR_EVER = 2200;
const isForEver = (text: string): boolean => Number(text.slice(0, 4)) > FOR_EVER;

/**
 * Reads RFC 3339, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS [UTC]`, or Unix seconds. Text without a zone is UTC. Returns null for nothing,
 * for "for ever", and for what can't be read, which is complained about.
 */
export function readTime(value: unknown, property: string, complain: Complain): Micros | null {
  if (isNothing(value)) return null;
  if (typeof value === 'number' || (typeof value === 'string' && UNIX.test(value))) {
    const micros = Math.round(Number(value) * MICROS_PER_SECOND);
    if (micros >= 0 && micros < FOR_EVER * 366 * MICROS_PER_DAY && Number(value) < 10_000_000_000) return micros;
  } else if (typeof value === 'string') {
    const text = value.trim();
    const micros =
      parseTimestamp(text) ?? parseTimestamp(DAY.test(text) ? `${text}T00:00:00Z` : text.replace(NO_ZONE, '$1Z'));
    if (micros !== undefined) return isForEver(text) ? null : micros;
  }
  complain(property, `${shown(value)} is no time`);
  return null;
}

/** Reads a time in the past, or at most a day ahead of our clock. */
export function readPastTime(value: unknown, now: Micros, property: string, complain: Complain): Micros | null {
  const time = readTime(value, property, complain);
  if (time === null || time <= now + MICROS_PER_DAY) return time;
  complain(property, `${shown(value)} has not come yet`);
  return null;
}

/** Text in which nothing has to be replaced. */
const PLAIN = /^[\x20-\x7e]*$/;
const CONTROLS = /[\p{Cc}\u2028\u2029]+/gu;
/** A description may have paragraphs. */
const CONTROLS_BUT_LINES = /(?:[^\P{Cc}\t\n]|[\u2028\u2029])+/gu;

/** Reads one line of text, cut to `longest` characters. A number or boolean becomes text. */
export function readText(value: unknown, longest: number, property: string, complain: Complain): string | null {
  return readLines(value, longest, property, complain, CONTROLS);
}

/** Reads text with line breaks, cut to MAX_DESCRIPTION characters. */
export function readDescription(value: unknown, complain: Complain): string | null {
  return readLines(value, MAX_DESCRIPTION, 'description', complain, CONTROLS_BUT_LINES);
}

function readLines(
  value: unknown,
  longest: number,
  property: string,
  complain: Complain,
  controls: RegExp,
): string | null {
  if (isNothing(value)) return null;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') {
    complain(property, `${shown(value)} is no text`);
    return null;
  }
  const text = PLAIN.test(value)
    ? value.trim()
    : withoutDirectionMarks(value, property, complain)
        .replaceAll('\r\n', '\n')
        .replace(controls, ' ')
        .trim()
        .toWellFormed();
  if (text === '') return null;
  if (text.length <= longest) return text;
  complain(property, `cut from ${text.length} to ${longest} characters`);
  return `${text.slice(0, longest - 1).toWellFormed()}…`;
}

/** Marks, overrides and isolates that change the direction of text (UAX #9). They are removed: they can make a text deceive. */
const DIRECTION_MARKS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g;

function withoutDirectionMarks(text: string, property: string, complain: Complain): string {
  const straight = text.replace(DIRECTION_MARKS, '');
  if (straight !== text) complain(property, 'characters that turn the direction of text taken out');
  return straight;
}

export function readBoolean(value: unknown, property: string, complain: Complain): boolean {
  if (isNothing(value) || value === false || value === 'false' || value === 0 || value === '0') return false;
  if (value === true || value === 'true' || value === 1 || value === '1') return true;
  if (typeof value === 'string' && /^(?:true|false)$/i.test(value)) return value.toLowerCase() === 'true';
  complain(property, `${shown(value)} is neither true nor false`);
  return false;
}

/**
 * Reads a row's own marking; null when it has none. A marking that can't be read counts as red and is complained about, so that
 * nobody is shown what may have been meant for fewer.
 */
export function readTlp(value: unknown, complain: Complain): Tlp | null {
  if (isNothing(value)) return null;
  const tlp = typeof value === 'string' ? tlpOfWord(value.trim()) : null;
  if (tlp !== null) return tlp;
  complain('tlp', `${shown(value)} is no TLP level and is taken for red`);
  return 'red';
}

/**
 * Reads labels, sorted and without repetition. TLP labels are markings: the strictest is returned apart. What looks like the word of
 * an analyst is left out.
 */
export function readLabels(value: unknown, complain: Complain): { labels: string[]; tlp: Tlp | null } {
  const labels: string[] = [];
  if (isNothing(value)) return { labels, tlp: null };
  let tlp: Tlp | null = null;
  for (const item of listOf(value, 'labels', complain)) {
    // MISP's tags are objects with a name.
    const text = isJsonObject(item) ? (item['name'] ?? item) : item;
    if (isNothing(text)) continue;
    const label = typeof text === 'string' || typeof text === 'number' ? labelOf(String(text), complain) : '';
    if (label === '' && typeof text === 'string') continue;
    const level = tlpOfTag(label);
    if (level !== null) {
      tlp = stricter(tlp, level);
      if (level === 'red' && tlpOfWord(label) === null)
        complain('labels', `${shown(label)} is no TLP level and is taken for red`);
    } else if (label === '' || label.length > MAX_LABEL)
      complain('labels', `${shown(text)} is no label of at most ${MAX_LABEL} characters`);
    else if (label.slice(0, ANALYST_LABELS.length).toLowerCase() === ANALYST_LABELS)
      complain('labels', `${shown(label)} is not taken over: only analysts here give labels with ${ANALYST_LABELS}`);
    else labels.push(label);
  }
  const found = eachOnce(labels);
  if (found.length > MAX_LABELS) complain('labels', `${found.length}, of which ${MAX_LABELS} are kept`);
  return { labels: sorted(found.slice(0, MAX_LABELS)), tlp };
}

function labelOf(text: string, complain: Complain): string {
  if (PLAIN.test(text)) return text.trim();
  return withoutDirectionMarks(text, 'labels', complain).replace(CONTROLS, ' ').trim().toWellFormed();
}

function eachOnce(texts: string[]): string[] {
  return texts.length < 2 ? texts : [...new Set(texts)];
}

/** Sorts in place by insertion: lists are short, and Array's sort allocates a kilobyte for any of them. */
function sorted(texts: string[]): string[] {
  for (let end = 1; end < texts.length; end += 1) {
    const text = texts[end] as string;
    let at = end;
    for (; at > 0 && (texts[at - 1] as string) > text; at -= 1) texts[at] = texts[at - 1] as string;
    texts[at] = text;
  }
  return texts;
}

/** Most items of a list that are read. */
const MAX_LIST = 1000;

/** Reads a list, or text with commas between items. */
function listOf(value: unknown, property: string, complain: Complain): unknown[] {
  if (typeof value === 'string') return value.split(',', MAX_LIST).map((item) => item.trim());
  if (!Array.isArray(value)) {
    complain(property, `${shown(value)} is no list`);
    return [];
  }
  if (value.length <= MAX_LIST) return value;
  complain(property, `${value.length} items, of which ${MAX_LIST} are read`);
  return value.slice(0, MAX_LIST);
}

const TECHNIQUE = /^T\d{4}(?:\.\d{3})?(?![\d.])/i;

/** Reads ATT&CK technique ids, sorted, from `T1059.001`, `T1059.001 - PowerShell` or an object with such an `id`. */
export function readTechniques(value: unknown, complain: Complain): string[] {
  if (isNothing(value)) return [];
  const found = new Set<string>();
  for (const item of listOf(value, 'techniques', complain)) {
    const text = isJsonObject(item) ? (item['id'] ?? item['technique_id'] ?? item['external_id'] ?? item) : item;
    if (isNothing(text)) continue;
    const id = typeof text === 'string' ? TECHNIQUE.exec(text.trim())?.[0] : undefined;
    if (id === undefined) complain('techniques', `${shown(text)} is no ATT&CK technique`);
    else found.add(id.toUpperCase());
  }
  if (found.size > MAX_LABELS) complain('techniques', `${found.size}, of which ${MAX_LABELS} are kept`);
  return sorted([...found].slice(0, MAX_LABELS));
}

/** Reads links and STIX external references, in the feed's order and without repetition. */
export function readReferences(value: unknown, sourceName: string, complain: Complain): ExternalReference[] {
  if (isNothing(value)) return [];
  const found = new Map<string, ExternalReference>();
  // A link may hold commas, so text is one link here.
  const items = typeof value === 'string' || isJsonObject(value) ? [value] : listOf(value, 'references', complain);
  for (const item of items) {
    if (isNothing(item)) continue;
    const reference = readReference(item, sourceName, complain);
    if (reference === null) complain('references', `${shown(item)} is no http(s) link and no reference`);
    else found.set(JSON.stringify(reference), reference);
  }
  if (found.size > MAX_REFERENCES) complain('references', `${found.size}, of which ${MAX_REFERENCES} are kept`);
  return [...found.values()].slice(0, MAX_REFERENCES);
}

function readReference(item: unknown, sourceName: string, complain: Complain): ExternalReference | null {
  if (typeof item === 'string') return normaliseReference({ source_name: sourceName, url: item });
  if (!isJsonObject(item)) return null;
  const text = (name: string, longest: number): string | null => readText(item[name], longest, 'references', complain);
  const reference: ExternalReference = { source_name: text('source_name', MAX_LABEL) ?? sourceName };
  const description = text('description', MAX_DESCRIPTION);
  const id = text('external_id', MAX_NAME);
  const { url } = item;
  if (description !== null) reference.description = description;
  if (typeof url === 'string' && url !== '') reference.url = url;
  if (id !== null) reference.external_id = id;
  const tidy = normaliseReference(reference);
  if (tidy !== null && reference.url !== undefined && tidy.url === undefined) {
    complain('references', `${shown(reference.url)} is no http(s) link`);
  }
  return tidy;
}

const PORT = /^\d{1,5}$/;

/** Reads a port, 1 to 65535, as a number or as digits. */
export function readPort(value: unknown, complain: Complain): number | null {
  if (isNothing(value)) return null;
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  const port = PORT.test(text) ? parsePort(text) : null;
  if (port === null) complain('port', `${shown(value)} is no port`);
  return port;
}

const PROTOCOL = /^[a-z0-9][a-z0-9.+_-]{0,31}$/;

/** Reads the name of a protocol, in lower case. */
export function readProtocol(value: unknown, complain: Complain): string | null {
  if (isNothing(value)) return null;
  const protocol = typeof value === 'string' ? value.trim().toLowerCase() : '';
  if (PROTOCOL.test(protocol)) return protocol;
  complain('protocol', `${shown(value)} is no word for a protocol`);
  return null;
}

/** A value as complaints show it. */
export function shown(value: unknown): string {
  const text = rowText(value);
  return text.length > 80 ? `${text.slice(0, 80).toWellFormed()}…` : text;
}

import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { formatMicros, parseTimestamp } from '../model/timestamp.ts';
import { timesOf } from './rules.ts';
import { isScoType } from './sco.ts';

/**
 * Brings objects into the form of STIX 2.1 without changing their meaning: the form of STIX 2.0, dates with an offset or without a
 * fraction, names with capitals, nulls. Each repair is reported in a line, except for nulls and empty lists, which many tools write.
 */
export type Tell = (fault: string) => void;

const MAX_DEPTH = 32;
const PROPERTY = /^(?:[a-z][a-z0-9_]{2,249}|id)$/;

/** Returns a repaired copy; undefined when the object is nested too deep. */
export function repair(sent: JsonObject, tell: Tell): JsonObject | undefined {
  const found = { isDamaged: false };
  const raw = withoutNothing(sent, 0, found);
  if (raw === undefined || !isJsonObject(raw)) return raw === undefined ? undefined : {};
  if (found.isDamaged) tell('texts that are no Unicode, with U+FFFD in their place');
  const named = withSoundNames(raw, tell);
  readAsStix21(named, tell);
  repairTimes(named, tell);
  cleanTexts(named, tell);
  dropUnmarked(named, tell);
  return named;
}

/** The value without nulls and empty lists at any depth, in well-formed Unicode. Null when nothing is left; undefined when it is too deep. */
function withoutNothing(value: Json, depth: number, found: { isDamaged: boolean }): Json | undefined {
  if (typeof value === 'string') return wellFormed(value, found);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return undefined;
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const item of value) {
      const kept = withoutNothing(item, depth + 1, found);
      if (kept === undefined) return undefined;
      if (kept !== null) items.push(kept);
    }
    return items.length === 0 ? null : items;
  }
  const object: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const kept = withoutNothing(member, depth + 1, found);
    if (kept === undefined) return undefined;
    if (kept !== null) define(object, wellFormed(name, found), kept);
  }
  return object;
}

/** A lone surrogate breaks strict readers of JSON (RFC 8259 section 8.2). */
function wellFormed(text: string, found: { isDamaged: boolean }): string {
  if (text.isWellFormed()) return text;
  found.isDamaged = true;
  return text.toWellFormed();
}

/** Defines a property, so that `__proto__` is a name like any other. */
function define(object: JsonObject, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}

/** Writes names of properties in lower case (STIX 2.1 section 2.1). A property whose name is then taken or still invalid is left out. */
function withSoundNames(raw: JsonObject, tell: Tell): JsonObject {
  const object: JsonObject = {};
  for (const [name, value] of Object.entries(raw)) {
    const lower = name.toLowerCase();
    if (PROPERTY.test(name)) define(object, name, value);
    else if (PROPERTY.test(lower) && !Object.hasOwn(raw, lower) && !Object.hasOwn(object, lower)) {
      define(object, lower, value);
      tell(`${name}: served as ${lower}`);
    } else tell(`${name.slice(0, 80)}: no name of a property`);
  }
  return object;
}

/** Where STIX 2.0 says in labels what STIX 2.1 says in a property of its own, with the words of both (2.0 part 2, 2.1 section 10). */
const labelled: Record<string, { property: string; words: ReadonlySet<string> }> = {
  indicator: {
    property: 'indicator_types',
    words: new Set([
      'anomalous-activity',
      'anonymization',
      'benign',
      'compromised',
      'malicious-activity',
      'attribution',
    ]),
  },
  malware: {
    property: 'malware_types',
    words: new Set(
      'adware backdoor bot ddos dropper exploit-kit keylogger ransomware remote-access-trojan resource-exploitation rogue-security-software rootkit screen-capture spyware trojan virus worm'.split(
        ' ',
      ),
    ),
  },
  report: {
    property: 'report_types',
    words: new Set(
      'threat-report attack-pattern campaign identity indicator malware observed-data threat-actor tool vulnerability'.split(
        ' ',
      ),
    ),
  },
  'threat-actor': {
    property: 'threat_actor_types',
    words: new Set(
      'activist competitor crime-syndicate criminal hacker insider-accidental insider-disgruntled nation-state sensationalist spy terrorist'.split(
        ' ',
      ),
    ),
  },
  tool: {
    property: 'tool_types',
    words: new Set(
      'denial-of-service exploitation information-gathering network-capture credential-exploitation remote-access vulnerability-scanning'.split(
        ' ',
      ),
    ),
  },
};

/** STIX 2.0 has no `spec_version` in objects; everything of it that STIX 2.1 keeps has the same meaning there. */
function readAsStix21(raw: JsonObject, tell: Tell): void {
  const { type, spec_version: version, labels } = raw;
  if (typeof type !== 'string') return;
  const isOld = version === '2.0' || (version === undefined && raw['created'] !== undefined && !isScoType(type));
  if (isOld) {
    raw['spec_version'] = '2.1';
    tell('spec_version: STIX 2.0, served as 2.1');
    // 2.0 describes malware by its name and has no samples: that is a family.
    if (type === 'malware' && raw['is_family'] === undefined) raw['is_family'] = true;
    if (type === 'indicator' && raw['pattern_type'] === undefined) raw['pattern_type'] = 'stix';
    const own = Object.hasOwn(labelled, type) ? labelled[type] : undefined;
    if (own !== undefined && raw[own.property] === undefined && Array.isArray(labels)) {
      const types = labels.filter((label) => typeof label === 'string' && own.words.has(label));
      if (types.length > 0) raw[own.property] = types;
    }
  }
  const { created, modified } = raw;
  if (created !== undefined && modified === undefined && type !== 'marking-definition' && !isScoType(type)) {
    raw['modified'] = created;
    tell('modified: absent, taken to be created');
  }
  if (type === 'indicator' && raw['valid_from'] === undefined && created !== undefined) {
    raw['valid_from'] = created;
    tell('valid_from: absent, taken to be created');
  }
}

/** As STIX writes a timestamp (STIX 2.1 section 2.15); `created` and `modified` have milliseconds at least (section 3.2). */
const SOUND_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?Z$/;
const MILLIS = /\.\d{3,6}Z$/;

function repairTimes(raw: JsonObject, tell: Tell): void {
  for (const name of timesOf(String(raw['type']))) {
    const text = raw[name];
    if (typeof text !== 'string') continue;
    const needsMillis = name === 'created' || name === 'modified';
    if (SOUND_TIME.test(text) && (!needsMillis || MILLIS.test(text))) continue;
    const time = parseTimestamp(text.trim());
    if (time === undefined) continue;
    const micros = formatMicros(time);
    const sound = micros.endsWith('000Z') ? `${micros.slice(0, -4)}Z` : micros;
    raw[name] = sound;
    tell(`${name}: ${text.slice(0, 40)}, served as ${sound}`);
  }
}

/** Texts for people. Characters that change the direction of text are removed from them, because they can deceive. */
const readable = ['name', 'description', 'abstract', 'content', 'explanation', 'result_name', 'contact_information'];
const readableLists = ['labels', 'aliases', 'goals', 'authors'];

/** Removes hidden characters from texts. Observables are left alone: a deceptive file name is itself the indicator. */
function cleanTexts(raw: JsonObject, tell: Tell): void {
  if (isScoType(String(raw['type']))) return;
  const clean = (value: Json): Json => (typeof value === 'string' ? cleanText(value) : value);
  for (const name of [...readable, ...readableLists]) {
    const value = raw[name];
    if (value === undefined) continue;
    const cleaned = Array.isArray(value) ? value.map(clean) : clean(value);
    if (JSON.stringify(cleaned) === JSON.stringify(value)) continue;
    raw[name] = cleaned;
    tell(`${name}: control characters taken out`);
  }
}

/** Direction marks, overrides and isolates (UAX #9), and control characters that are no white space. */
const HIDDEN = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]|[^\P{Cc}\t\n\r]/gu;

export function cleanText(text: string): string {
  return text.replace(HIDDEN, '');
}

/** Removes granular markings that only name a language, because some readers refuse them. */
function dropUnmarked(raw: JsonObject, tell: Tell): void {
  const parts = raw['granular_markings'];
  if (!Array.isArray(parts)) return;
  const marking = parts.filter(
    (part) => !isJsonObject(part) || part['marking_ref'] !== undefined || part['lang'] === undefined,
  );
  if (marking.length === parts.length) return;
  if (marking.length > 0) raw['granular_markings'] = marking;
  else delete raw['granular_markings'];
  tell('granular_markings: languages of parts are left out');
}

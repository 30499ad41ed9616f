import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json, JsonObject } from '../model/json.ts';
import { isStixId } from './id.ts';
import oasis from './schemas/oasis.json' with { type: 'json' };

/**
 * OASIS' JSON schemas of STIX 2.1 (cti-stix2-json-schemas), as its stix2-validator 3.3.2 applies them: what they refuse, strict
 * readers refuse. Titles and descriptions are left out of the file. Two patterns that took exponential time are
 * written anew, and two that took quadratic time are only tried on texts of bounded length.
 */
const ajv = new Ajv2020({ strict: false, formats: { uri: isUri, email: isEmail, 'idn-hostname': isHostname } });
for (const schema of oasis.schemas) ajv.addSchema(schema);
/** Schemas by the last part of their names, which for objects is the type. */
const idOf = new Map(oasis.schemas.map(({ $id }) => [$id.slice($id.lastIndexOf('/') + 1, -'.json'.length), $id]));

export const languages: ReadonlySet<string> = new Set(oasis.languages);
export const softwareLanguages: ReadonlySet<string> = new Set([...oasis.languages, ...oasis.softwareLanguages]);
/** As IANA lists them. */
export const characterSets: ReadonlySet<string> = new Set(oasis.characterSets);
export const mediaTypes: ReadonlySet<string> = new Set(oasis.mediaTypes);

/** A violation of the schema or of a rule. */
export interface SchemaFault {
  /** The path to the invalid value, its property first; empty: the object as a whole. */
  path: string[];
  fault: string;
}

/** The first violation of the schema of the object's type, for custom types of the common schema; null for none. */
export function schemaFault(raw: JsonObject): SchemaFault | null {
  const { type, created, modified } = raw;
  const isObservable = created === undefined && modified === undefined && type !== 'marking-definition';
  const name = idOf.has(String(type)) ? String(type) : isObservable ? 'cyber-observable-core' : 'core';
  const validate = ajv.getSchema(idOf.get(name) as string) as ValidateFunction;
  if (validate(raw)) return null;
  // Of alternatives that all failed, the last error is that of the whole choice.
  const error = validate.errors?.at(-1) as ErrorObject;
  const path = error.instancePath.split('/').slice(1).map(unescapePart);
  return { path, fault: faultOf(error, path, raw) };
}

/** JSON Pointer (RFC 6901 section 4). */
function unescapePart(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

function faultOf({ message, params, keyword }: ErrorObject, path: string[], raw: JsonObject): string {
  const where = path.length === 0 ? String(raw['type']) : path.join('.').slice(0, 200);
  if (keyword === 'required') return `${where}: no ${params['missingProperty']}`;
  const value = path.reduce<Json | undefined>(
    (part, name) => (typeof part === 'object' && part !== null ? (part as JsonObject)[name] : undefined),
    raw,
  );
  const shown = path.length === 0 ? '' : `${JSON.stringify(value).slice(0, 80).toWellFormed()} `;
  const isForm = keyword === 'pattern' || keyword === 'not' || keyword === 'oneOf' || keyword === 'anyOf';
  return `${where}: ${shown}${isForm ? 'is none that STIX 2.1 allows' : message}`;
}

/** True when an indicator may have this property. */
export function isPropertySound(property: string, value: Json): boolean {
  if (property.endsWith('_ref') && !isStixId(value)) return false;
  if (property.endsWith('_refs') && !(Array.isArray(value) && value.every((ref) => isStixId(ref)))) return false;
  return schemaFault({ ...SOUND, [property]: value }) === null;
}

const SOUND: JsonObject = {
  type: 'indicator',
  spec_version: '2.1',
  id: 'indicator--00000000-0000-4000-8000-000000000000',
  created: '2020-01-01T00:00:00.000Z',
  modified: '2020-01-01T00:00:00.000Z',
  pattern: "[ipv4-addr:value = '192.0.2.1']",
  pattern_type: 'stix',
  valid_from: '2020-01-01T00:00:00.000Z',
};

/** An absolute URI (RFC 3986) with a host where its scheme has one. */
function isUri(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:[\w\-.~:/?#@!$&'()*+,;=%[\]]+$/i.test(text) || /%(?![\da-f]{2})/i.test(text)) return false;
  const rest = text.slice(text.indexOf(':') + 1);
  if (rest.indexOf('#') !== rest.lastIndexOf('#')) return false;
  const [, authority = '', path = ''] = /^\/\/([^/?#]*)(.*)$/.exec(rest) ?? [null, '', rest];
  return /^(?:[^@[\]]*@)?(?:\[[\da-f:.]+\]|[^@:[\]]*)(?::\d*)?$/i.test(authority) && !/[[\]]/.test(path);
}

function isEmail(text: string): boolean {
  return text.length <= 254 && /^[\w.+-]+@[a-z\d-]+(?:\.[a-z\d-]+)+$/i.test(text) && !/\.\.|@-|-@|^\.|\.@/.test(text);
}

/** Labels that IDNA 2008 takes: letters, digits and hyphens, or punycode of letters and digits alone. */
function isHostname(text: string): boolean {
  const labels = text.toLowerCase().split('.');
  if (text.length > 253 || labels.length < 1) return false;
  return labels.every((label) => /^(?!..--)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/.test(label) || isPunycode(label));
}

function isPunycode(label: string): boolean {
  if (!/^xn--[a-z\d-]{1,59}$/.test(label)) return false;
  const { hostname } = URL.parse(`http://${label}.example/`) ?? { hostname: '' };
  return hostname === `${label}.example`;
}

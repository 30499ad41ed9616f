import type { JsonObject } from './json.ts';
import type { Observable, ObservableType } from './observable.ts';

/**
 * What Elastic's Custom Threat Intelligence pipeline can read of a pattern (ARCHITECTURE.md, "Profiles"): it finds the value by
 * grok, splits at AND and OR inside values too, cuts at quotes and loses the prefix of a network.
 */

/** The pipeline converts an AS number to `integer`, which has 32 bits with a sign: above, the whole document fails. */
const ELASTIC_INTEGER = 2 ** 31 - 1;

/** Where the pipeline splits a pattern, literals included. */
const SPLITS = /\s(?:AND|OR)\s/;

/** Elastic's own sources and ECS' `registry.path` write hives short; a pattern with the full name matches nothing there. */
export const shortHives: Record<string, string> = {
  HKEY_LOCAL_MACHINE: 'HKLM',
  HKEY_CURRENT_USER: 'HKCU',
  HKEY_CLASSES_ROOT: 'HKCR',
  HKEY_USERS: 'HKU',
  HKEY_CURRENT_CONFIG: 'HKCC',
};

/** Types of which Elastic matches no value. */
export function isUnmatchedType(type: ObservableType): type is 'sha512' | 'cve' {
  return type === 'sha512' || type === 'cve';
}

/** All that `elasticObservable` leaves out, in words for people. */
export const UNMATCHED =
  'networks (a pool with `expand_cidr: 24` serves small ones as their addresses), SHA-512, CVE, AS numbers beyond 31 bits and values with quotes';

/** Returns the canonical observable as profile elastic-agent must issue it; null when Elastic can't match it. */
export function elasticObservable(observable: Observable): Observable | null {
  const { type, value } = observable;
  if (isUnmatchedType(type)) return null;
  switch (type) {
    case 'ipv4':
    case 'ipv6':
      return value.includes('/') ? null : observable;
    case 'url':
      return /[' ]/.test(value) ? { type, value: value.replaceAll("'", '%27').replaceAll(' ', '%20') } : observable;
    case 'registry-key': {
      const end = value.indexOf('\\');
      const short = shortHives[value.slice(0, end)];
      return isPlain(value) ? { type, value: short === undefined ? value : short + value.slice(end) } : null;
    }
    case 'email':
    case 'file-name':
      return isPlain(value) ? observable : null;
    case 'asn':
      return Number(value) <= ELASTIC_INTEGER ? observable : null;
    case 'domain':
    case 'md5':
    case 'sha1':
    case 'sha256':
    case 'x509':
      return observable;
  }
}

function isPlain(value: string): boolean {
  return !value.includes("'") && !value.includes('"') && !SPLITS.test(value);
}

/** Properties of an upstream indicator that Elastic maps; a custom one would be mapped by whatever type comes first. */
const mapped = ['object_marking_refs', 'indicator_types', 'kill_chain_phases', 'lang'];

/** What may be kept of upstream properties in this profile: no custom top-level property and no foreign extension. */
export function elasticProperties(kept: JsonObject): JsonObject | null {
  const entries = mapped.flatMap((name) => (kept[name] === undefined ? [] : [[name, kept[name]] as const]));
  return entries.length === 0 ? null : Object.fromEntries(entries);
}

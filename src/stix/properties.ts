import type { IndicatorEntry } from '../model/entry.ts';
import { type JsonText, jsonText, trustJson } from '../model/json.ts';
import type { ObservableType } from '../model/observable.ts';
import { hasMember, sourceNames } from './json-columns.ts';

/** The STIX type of an entry on this observable. */
export function stixTypeOf(type: ObservableType): 'indicator' | 'vulnerability' {
  return type === 'cve' ? 'vulnerability' : 'indicator';
}

/**
 * Properties that Sluice sets itself, so those of the upstream object are not kept. Two others are kept and used by the renderer:
 * `indicator_types`, and `object_marking_refs` without its TLP markings.
 */
export const ownProperties: ReadonlySet<string> = new Set([
  'type',
  'spec_version',
  'id',
  'created_by_ref',
  'created',
  'modified',
  'revoked',
  'name',
  'description',
  'pattern',
  'pattern_type',
  'pattern_version',
  'valid_from',
  'valid_until',
  'confidence',
  'labels',
  'external_references',
]);

/**
 * The JSON of `indicator_types`; null when the kept properties have it. Else `malicious-activity` (STIX 2.1 section 10.5), or
 * `unknown` where the confidence is 0.
 */
export function indicatorTypes({ kept, confidence }: IndicatorEntry): JsonText<string[]> | null {
  if (kept !== null && hasMember(kept, 'indicator_types')) return null;
  return trustJson(confidence === 0 ? '["unknown"]' : '["malicious-activity"]');
}

const nouns: Record<ObservableType, string> = {
  ipv4: 'IPv4 address',
  ipv6: 'IPv6 address',
  domain: 'Domain name',
  url: 'URL',
  md5: 'File with this MD5',
  sha1: 'File with this SHA-1',
  sha256: 'File with this SHA-256',
  sha512: 'File with this SHA-512',
  email: 'E-mail address',
  asn: 'Autonomous system',
  'registry-key': 'Windows registry key',
  x509: 'X.509 certificate',
  'file-name': 'File of this name',
  cve: 'Vulnerability',
};

/** Publishers that are named in a description: the strongest, which come first in the column. */
const NAMED_SOURCES = 3;

/**
 * The JSON of `description`: a source's, else one that says what the value is and who reports it. Readers such as Elastic drop
 * other properties, and OASIS' best practices ask for it.
 */
export function descriptionOf({ type, sources, description }: IndicatorEntry): JsonText<string> {
  if (description !== null) return jsonText(description);
  const names = sourceNames(sources, NAMED_SOURCES);
  return trustJson(names === null ? `"${nouns[type]}."` : `"${nouns[type]} reported by ${names}."`);
}

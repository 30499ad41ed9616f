import type { IndicatorEntry } from '../model/entry.ts';
import type { JsonText } from '../model/json.ts';
import type { ObservableType } from '../model/observable.ts';
import { differentPublishers } from '../model/publisher.ts';

/** The STIX type of an entry on this observable. */
export function stixTypeOf(type: ObservableType): 'indicator' | 'vulnerability' {
  return type === 'cve' ? 'vulnerability' : 'indicator';
}

/**
 * Upstream properties that are never kept, because the renderer says them itself. `object_marking_refs` may be kept, without
 * TLP and as the first key: the renderer joins them with its own. `indicator_types` may be: upstream's words are better.
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
 * JSON of `indicator_types`: what upstream says, which is among the kept (null); else that the feed's word is "suspected
 * malicious" (STIX 2.1 section 10.5, `malicious-activity`), and `unknown` where all sources say that they have no confidence in it.
 */
export function indicatorTypes({ kept, confidence }: IndicatorEntry): string | null {
  if (kept !== null && holdsProperty(kept, '"indicator_types":')) return null;
  return confidence === 0 ? '["unknown"]' : '["malicious-activity"]';
}

/** Does JSON text of an object hold this key itself? An extension may have one of the same name. */
function holdsProperty(text: string, key: string): boolean {
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + key.length)) {
    if (depthAt(text, at) === 1) return true;
  }
  return false;
}

/** Objects that are open before this place, which is outside of strings. */
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

/** Sources named in a description of ours; the strongest come first in the column. */
const NAMED_SOURCES = 3;
const NAME_KEY = '"feed_name":"';

/**
 * JSON of `description`: a source's, else ours. It must be there for readers that drop all else (Elastic, OASIS best practice):
 * what this is, and who says so.
 */
export function describe({ type, sources, description }: IndicatorEntry): string {
  if (description !== null) return JSON.stringify(description);
  const start = sources.indexOf(NAME_KEY);
  if (start < 0) return `"${nouns[type]}."`;
  // Most have one source: what doesn't stand between two objects need not be looked for.
  const names = sources.includes('},{') ? namesIn(sources, start) : nameAt(sources, start);
  return `"${nouns[type]} reported by ${names}."`;
}

/** Different publishers from the one at `start` on, in the order of the sources. */
function namesIn(sources: string, start: number): string {
  let names: string[] = [];
  for (let at = start; at >= 0 && names.length < NAMED_SOURCES; at = sources.indexOf(NAME_KEY, at + NAME_KEY.length)) {
    names = differentPublishers([...names, nameAt(sources, at)]);
  }
  return names.join(', ');
}

/** Within JSON text the key can't be part of a string, whose quotes are escaped; its value is spliced as it stands. */
function nameAt(sources: string, at: number): string {
  const start = at + NAME_KEY.length;
  let end = sources.indexOf('"', start);
  while (end > 0 && isEscaped(sources, end)) end = sources.indexOf('"', end + 1);
  return sources.slice(start, end);
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1;
  return slashes % 2 === 1;
}

const KEPT_MARKINGS = '{"object_marking_refs":';

/** JSON of the markings that are not TLP (a licence, a statement), kept from upstream as the first key. */
export function keptMarkings(kept: JsonText | null): string | null {
  if (!kept?.startsWith(KEPT_MARKINGS)) return null;
  return kept.slice(KEPT_MARKINGS.length, kept.indexOf(']') + 1);
}

/** The text of an object's kept members, ready to follow ours: `,"lang":"en"` or nothing. */
export function keptMembers(kept: JsonText | null): string {
  if (kept === null || kept.length <= 2) return '';
  if (!kept.startsWith(KEPT_MARKINGS)) return `,${kept.slice(1, -1)}`;
  return kept.slice(kept.indexOf(']') + 1, -1);
}

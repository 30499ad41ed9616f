import { GatewayError } from '../model/error.ts';
import type { Observable, ObservableType } from '../model/observable.ts';

/**
 * STIX patterns of one comparison (STIX 2.1 section 9): written in the one form that every reader parses, Elastic's grok
 * among them (`[type:path = 'value']`, one space each side), and read in all spellings that the field uses.
 */

/** What stands before the value; asn is a number, x509 names its hash algorithm, cve has no pattern. */
const headOf: Record<Exclude<ObservableType, 'x509' | 'cve'>, string> = {
  ipv4: "[ipv4-addr:value = '",
  ipv6: "[ipv6-addr:value = '",
  domain: "[domain-name:value = '",
  url: "[url:value = '",
  md5: "[file:hashes.MD5 = '",
  sha1: "[file:hashes.'SHA-1' = '",
  sha256: "[file:hashes.'SHA-256' = '",
  sha512: "[file:hashes.'SHA-512' = '",
  email: "[email-addr:value = '",
  asn: '[autonomous-system:number = ',
  'registry-key': "[windows-registry-key:key = '",
  'file-name': "[file:name = '",
};

/** A certificate's fingerprint names its algorithm by its length in hex digits. */
const certificateHead: Record<number, string> = {
  32: "[x509-certificate:hashes.MD5 = '",
  40: "[x509-certificate:hashes.'SHA-1' = '",
  64: "[x509-certificate:hashes.'SHA-256' = '",
};

/**
 * A pattern up to its value; after it comes `patternTail`. Neither needs an escape in JSON, so a renderer can write them as
 * they are. Throws `internal` for cve, which is a vulnerability in STIX, and for a fingerprint of no known length.
 */
export function patternHead({ type, value }: Observable): string {
  const head = type === 'cve' ? undefined : type === 'x509' ? certificateHead[value.length] : headOf[type];
  if (head === undefined) throw new GatewayError('internal', `${type} ${value} has no pattern.`);
  return head;
}

export function patternTail(type: ObservableType): string {
  return type === 'asn' ? ']' : "']";
}

/** The pattern that matches a canonical observable. Throws as `patternHead` does. */
export function formatPattern(observable: Observable): string {
  return patternHead(observable) + escapeLiteral(observable.value) + patternTail(observable.type);
}

/** What an object's id is derived from: the pattern, or the CVE's own id. */
export function subjectOf(observable: Observable): string {
  return observable.type === 'cve' ? observable.value : formatPattern(observable);
}

/** STIX 2.1 section 9.3: only the quote and the backslash are escaped. */
export function escapeLiteral(value: string): string {
  if (!value.includes("'") && !value.includes('\\')) return value;
  return value.replace(/['\\]/g, '\\$&');
}

const COMPARISON =
  /^\s*\[\s*([a-z0-9-]+):([a-z_]+)(?:\.(?:'([\w-]+)'|"([\w-]+)"|([\w-]+)))?\s*(==?|\sISSUBSET)\s*(?:'([^'\\]*(?:\\.[^'\\]*)*)'|(\d{1,12}))\s*\]\s*$/s;

/** Longest pattern that is read; a single comparison on the longest value we take is shorter. */
const MAX_PATTERN = 20_000;

/**
 * The one comparison a pattern makes: observable type and its value as written, not yet canonical. Null for everything
 * else: AND, OR, qualifiers, parentheses, other operators, and objects that we don't model.
 */
export function parsePattern(text: string): { type: ObservableType; value: string } | null {
  const match = text.length > MAX_PATTERN ? null : COMPARISON.exec(text);
  if (match === null) return null;
  const [, object = '', property = '', quoted, doubled, bare, operator, literal, digits = ''] = match;
  const key = quoted ?? doubled ?? bare;
  const type = typeOf(object, property, key);
  if (type === null) return null;
  // ISSUBSET is about networks only (STIX 2.1 section 9.6.1).
  if (operator !== '=' && operator !== '==' && type !== 'ipv4' && type !== 'ipv6') return null;
  if (literal === undefined && type !== 'asn') return null;
  return { type, value: literal === undefined ? digits : unescapeLiteral(literal) };
}

function typeOf(object: string, property: string, key: string | undefined): ObservableType | null {
  if (property === 'hashes') return key === undefined ? null : typeOfHash(object, key);
  return key === undefined ? (typeOfPath[`${object}:${property}`] ?? null) : null;
}

const typeOfPath: Record<string, ObservableType> = {
  'ipv4-addr:value': 'ipv4',
  'ipv6-addr:value': 'ipv6',
  'domain-name:value': 'domain',
  'url:value': 'url',
  'email-addr:value': 'email',
  'autonomous-system:number': 'asn',
  'windows-registry-key:key': 'registry-key',
  'file:name': 'file-name',
};

/** `SHA-256`, `SHA256`, `sha_256`: one algorithm. */
function typeOfHash(object: string, key: string): ObservableType | null {
  const algorithm = hashTypes[key.replace(/[-_]/g, '').toUpperCase()];
  if (algorithm === undefined) return null;
  if (object === 'file') return algorithm;
  return object === 'x509-certificate' && algorithm !== 'sha512' ? 'x509' : null;
}

const hashTypes: Record<string, 'md5' | 'sha1' | 'sha256' | 'sha512'> = {
  MD5: 'md5',
  SHA1: 'sha1',
  SHA256: 'sha256',
  SHA512: 'sha512',
};

/** Before any other character a backslash is the writer's own: registry keys are often sent unescaped. */
function unescapeLiteral(literal: string): string {
  return literal.includes('\\') ? literal.replace(/\\(['\\])/g, '$1') : literal;
}

/** Could this be a STIX pattern at all: closed strings, balanced brackets and parentheses, at least one observation. */
export function isPatternShaped(text: string): boolean {
  const bare = text.replace(/'[^'\\]*(?:\\.[^'\\]*)*'/gs, "''");
  if (bare.replaceAll("''", '').includes("'")) return false;
  const open: string[] = [];
  let observations = 0;
  for (const character of bare) {
    if (character === '[' || character === '(') open.push(character);
    else if (character === ']' || character === ')') {
      if (open.pop() !== (character === ']' ? '[' : '(')) return false;
      if (character === ']' && !open.includes('[')) observations += 1;
    }
  }
  return open.length === 0 && observations > 0;
}

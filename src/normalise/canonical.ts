import type { Observable, ObservableType } from '../model/observable.ts';
import { parseIpv4, parseIpv6 } from './address.ts';
import { hasKnownSuffix, parseDomain, parseEmail, parseUrl } from './host.ts';
import {
  hashTypeOf,
  isAsnShaped,
  isRegistryShaped,
  parseAsn,
  parseCertificate,
  parseCve,
  parseFileName,
  parseHash,
  parseRegistryKey,
} from './identifier.ts';
import { isRefusal, type Parsed, type Refusal } from './parsed.ts';
import { isUrlShaped } from './refang.ts';

/**
 * Brings values to their canonical form: two spellings of one observable become equal, and the canonical form of a canonical
 * value is itself. A value whose meaning would have to be guessed is refused.
 */

const MAX_TEXT = 8192;
const CONTROL = /\p{Cc}/u;

/**
 * Parses `text` as the claimed type, as one of several claimed types (a feed's "ip", "hash"), or with null as the type that its
 * form shows. A value that is of another type than claimed is rejected as `type-mismatch`. `port` stood behind an address or host.
 */
export function canonical(
  claim: ObservableType | readonly ObservableType[] | null,
  text: string,
): { observable: Observable; port?: number } | { rejection: Refusal } {
  const value = text.trim();
  if (value === '') return { rejection: { reason: 'no-value', detail: 'the value is empty' } };
  if (value.length > MAX_TEXT) {
    return {
      rejection: { reason: 'too-long', detail: `a value of ${value.length} characters, more than ${MAX_TEXT}` },
    };
  }
  if (CONTROL.test(value) || !value.isWellFormed()) {
    return { rejection: { reason: 'bad-value', detail: 'control characters in the value' } };
  }
  const parsed = claim === null ? detect(value) : parseClaimed(typeof claim === 'string' ? [claim] : claim, value);
  return isRefusal(parsed) ? { rejection: parsed } : parsed;
}

function parseClaimed(types: readonly ObservableType[], value: string): Parsed {
  let refusal: Refusal | null = null;
  for (const type of types) {
    const parsed = parsers[type](value);
    if (!isRefusal(parsed)) return parsed;
    // The first refusal is reported, or one for size, which says more.
    if (refusal === null || parsed.reason === 'too-long') refusal = parsed;
  }
  const seen = detect(value);
  if (!isRefusal(seen) && !types.includes(seen.observable.type)) {
    return { reason: 'type-mismatch', detail: `claimed ${types.join(' or ')}, looks like ${seen.observable.type}` };
  }
  return refusal ?? { reason: 'unknown-type', detail: 'no type is claimed' };
}

const parsers: Record<ObservableType, (value: string) => Parsed> = {
  ipv4: parseIpv4,
  ipv6: parseIpv6,
  domain: parseDomain,
  url: parseUrl,
  md5: (value) => parseHash('md5', value),
  sha1: (value) => parseHash('sha1', value),
  sha256: (value) => parseHash('sha256', value),
  sha512: (value) => parseHash('sha512', value),
  email: parseEmail,
  asn: parseAsn,
  'registry-key': parseRegistryKey,
  x509: parseCertificate,
  'file-name': parseFileName,
  cve: parseCve,
};

/**
 * Parses a value by its form alone. File names, fingerprints of certificates and bare numbers are not detected: they could be
 * something else.
 */
function detect(value: string): Parsed {
  const hash = hashTypeOf(value);
  if (hash !== null) return parseHash(hash, value);
  if (isUrlShaped(value)) return parseUrl(value);
  if (/^CVE-\d/i.test(value)) return parseCve(value);
  if (isRegistryShaped(value)) return parseRegistryKey(value);
  if (isAsnShaped(value)) return parseAsn(value);
  if (/^\d{1,3}(?:\[?\(?\.|\\\.)/.test(value)) {
    const address = parseIpv4(value);
    if (!isRefusal(address)) return address;
  }
  if (/^[\s[]?[\da-f]{0,4}\[?:/i.test(value)) {
    const address = parseIpv6(value);
    if (!isRefusal(address)) return address;
  }
  if (/@|[[(]\s?at\s?[\])]/i.test(value)) return parseEmail(value);
  const domain = parseDomain(value);
  if (!isRefusal(domain) && hasKnownSuffix(domain.observable.value)) return domain;
  return { reason: 'unknown-type', detail: 'the value shows no type by its form' };
}

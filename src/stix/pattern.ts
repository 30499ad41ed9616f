import { GatewayError } from '../model/error.ts';
import type { Observable, ObservableType } from '../model/observable.ts';

/**
 * Writes STIX patterns of one comparison (STIX 2.1 section 9), in the one form that every reader parses, Elastic's grok among
 * them (`[type:path = 'value']`, one space each side). pattern/values.ts reads the patterns of feeds.
 */

/** The pattern up to its value. The value of asn is a number, x509 depends on its hash algorithm, cve has no pattern. */
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
 * The pattern up to its value, which `patternTail` follows. Neither needs an escape in JSON. Throws `internal` for cve, which is a
 * vulnerability in STIX, and for a fingerprint of unknown length.
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

/** The part of an object's id that identifies the observable: its pattern, or the CVE's id. */
export function subjectOf(observable: Observable): string {
  return observable.type === 'cve' ? observable.value : formatPattern(observable);
}

/** STIX 2.1 section 9.3: only the quote and the backslash are escaped. */
export function escapeLiteral(value: string): string {
  if (!value.includes("'") && !value.includes('\\')) return value;
  return value.replace(/['\\]/g, '\\$&');
}

import { hash } from 'node:crypto';

/** Types of observables, as the configuration, REST and the store name them. */
export const observableTypes = [
  'ipv4',
  'ipv6',
  'domain',
  'url',
  'md5',
  'sha1',
  'sha256',
  'sha512',
  'email',
  'asn',
  'registry-key',
  'x509',
  'file-name',
  'cve',
] as const;
export type ObservableType = (typeof observableTypes)[number];

/**
 * A type and its value in canonical form (normalise/canonical.ts), so that two spellings of one value are equal.
 * ipv4 and ipv6 hold an address or a CIDR; asn holds digits; x509 holds the certificate's MD5, SHA-1 or SHA-256, told
 * apart by length; cve holds `CVE-YYYY-N`.
 */
export interface Observable {
  type: ObservableType;
  value: string;
}

/** CVE's own syntax (the CVE record format, `cveId`), in upper case, without zeros that stand before more than four digits. */
const CVE = /^CVE-\d{4}-(?:0\d{3}|[1-9]\d{3,18})$/;

export function isCve(text: string): boolean {
  return CVE.test(text);
}

/** 32 hex digits that identify an observable: the beginning of SHA-1 over `type:value`. */
export type ObservableKey = string;

export function observableKey(observable: Observable): ObservableKey {
  return hash('sha1', `${observable.type}:${observable.value}`, 'hex').slice(0, 32);
}

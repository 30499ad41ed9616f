import { isCve, type ObservableType } from '../model/observable.ts';
import { badValue, type Parsed } from './parsed.ts';

/** Values that are names and numbers rather than addresses: hashes, fingerprints, AS numbers, registry keys, files, CVEs. */

const HEX = /^[0-9a-f]+$/i;
const hashByLength: Record<number, ObservableType> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' };

/** The type of a hash in hex digits, by its length; null for what is no hash. */
export function hashTypeOf(text: string): ObservableType | null {
  const type = hashByLength[text.length];
  return type !== undefined && HEX.test(text) ? type : null;
}

export function parseHash(type: ObservableType, text: string): Parsed {
  if (hashTypeOf(text) !== type) return badValue(`not ${type}: ${text.length} characters`);
  return { observable: { type, value: text.toLowerCase() } };
}

/** A certificate's fingerprint, with or without separators; the algorithm follows from its length. */
export function parseCertificate(text: string): Parsed {
  const value = text.replace(/[:\s-]/g, '').toLowerCase();
  const hash = hashTypeOf(value);
  if (hash === null || hash === 'sha512') return badValue('not an MD5, SHA-1 or SHA-256 fingerprint');
  return { observable: { type: 'x509', value } };
}

const ASN = /^(?:ASN?\s?)?0*(\d{1,10})$/i;
const MAX_ASN = 4_294_967_295;

/** AS number in plain decimals (RFC 5396 "asplain"); 0 belongs to nobody (RFC 7607). */
export function parseAsn(text: string): Parsed {
  const digits = ASN.exec(text)?.[1];
  const number = Number(digits);
  if (digits === undefined || number < 1 || number > MAX_ASN) return badValue('not an AS number');
  return { observable: { type: 'asn', value: `${number}` } };
}

export function isAsnShaped(text: string): boolean {
  return /^ASN?\s?\d+$/i.test(text);
}

const hives: Record<string, string> = {
  HKLM: 'HKEY_LOCAL_MACHINE',
  HKCU: 'HKEY_CURRENT_USER',
  HKCR: 'HKEY_CLASSES_ROOT',
  HKU: 'HKEY_USERS',
  HKCC: 'HKEY_CURRENT_CONFIG',
  HKPD: 'HKEY_PERFORMANCE_DATA',
  // The kernel's names, as drivers and sandboxes log them.
  '\\REGISTRY\\MACHINE': 'HKEY_LOCAL_MACHINE',
  '\\REGISTRY\\USER': 'HKEY_USERS',
};
const longHives = [...new Set(Object.values(hives))];
const KEY = new RegExp(
  `^(?:Computer\\\\+|Registry::)?(${[...Object.keys(hives), ...longHives].map((hive) => hive.replaceAll('\\', '\\\\')).join('|')}):?\\\\+(.*)$`,
  'i',
);
const MAX_KEY = 2048;

/**
 * A Windows registry key with its hive in full (STIX 2.1 section 6.16); the rest keeps its case. Doubled backslashes, which feeds
 * write by escaping twice, become one: no key has an empty name.
 */
export function parseRegistryKey(text: string): Parsed {
  const match = KEY.exec(text);
  const path = (match?.[2] ?? '').replace(/\\+/g, '\\').replace(/^\\|\\$/g, '');
  if (match === null || path === '') return badValue('not a registry key that begins with its hive');
  const hive = (match[1] ?? '').toUpperCase();
  const value = `${hives[hive] ?? hive}\\${path}`;
  if (value.length > MAX_KEY) return { reason: 'too-long', detail: `a registry key of ${value.length} characters` };
  return { observable: { type: 'registry-key', value } };
}

export function isRegistryShaped(text: string): boolean {
  return KEY.test(text);
}

const MAX_FILE_NAME = 255;

/** A file's name without a path: STIX has paths in another property, and a pattern on a part of a path would match nothing. */
export function parseFileName(text: string): Parsed {
  const value = text.normalize('NFC');
  if (/[/\\]/.test(value)) return badValue('a path, not a file name');
  if (value === '.' || value === '..') return badValue('not a file name');
  if (value.length > MAX_FILE_NAME) return { reason: 'too-long', detail: `a file name of ${value.length} characters` };
  return { observable: { type: 'file-name', value } };
}

export function parseCve(text: string): Parsed {
  const value = text.toUpperCase();
  return isCve(value) ? { observable: { type: 'cve', value } } : badValue('not CVE-YYYY-NNNN');
}

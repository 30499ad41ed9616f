import type { ObservableType } from '../../model/observable.ts';
import type { Tlp } from '../../model/tlp.ts';
import { misuse } from '../misuse.ts';

/** Numbers on disk: never reused, never changed, whatever order the model lists its words in. */
export const observableCodes: Record<ObservableType, number> = {
  ipv4: 1,
  ipv6: 2,
  domain: 3,
  url: 4,
  md5: 5,
  sha1: 6,
  sha256: 7,
  sha512: 8,
  email: 9,
  asn: 10,
  'registry-key': 11,
  x509: 12,
  'file-name': 13,
  cve: 14,
};
/** `entry_types.observable` of what is no indicator. */
export const NO_OBSERVABLE = 0;
const tlpCodes: Record<Tlp, number> = { clear: 1, green: 2, amber: 3, 'amber+strict': 4, red: 5 };

const observableByCode = new Map<number, ObservableType>(invert(observableCodes));
const tlpByCode = new Map<number, Tlp>(invert(tlpCodes));

/** Codes with their words, for a map of words by code. */
export function invert<Word extends string>(codes: Record<Word, number>): [number, Word][] {
  return Object.entries(codes).map(([word, code]) => [code as number, word as Word]);
}

export function observableOfCode(code: number): ObservableType {
  const type = observableByCode.get(code);
  if (type === undefined) throw new Error(`unknown observable code ${code}`);
  return type;
}

export function tlpCode(tlp: Tlp): number {
  const code = tlpCodes[tlp];
  if (code === undefined) throw misuse(`"${tlp}" is no TLP level`);
  return code;
}

export function tlpOfCode(code: number): Tlp {
  const tlp = tlpByCode.get(code);
  if (tlp === undefined) throw new Error(`unknown TLP code ${code}`);
  return tlp;
}

import type { ObservableType } from '../../model/observable.ts';
import { typeOfHash, typeOfPath } from './path.ts';

const COMPARISON =
  /^\s*\[\s*([a-z0-9-]+):([a-z_]+)(?:\.(?:'([\w-]+)'|"([\w-]+)"|([\w-]+)))?\s*(==?|\sISSUBSET)\s*(?:'([^'\\]*(?:\\.[^'\\]*)*)'|(0|[1-9]\d{0,11}))\s*\]\s*$/s;
/** Longer texts are left to the grammar: no value that is taken needs as many characters. */
const MAX_LENGTH = 20_000;

/**
 * Parses a pattern of one comparison without the grammar. Nearly every pattern of a feed is one, and this takes an 80th of the time
 * (bench/pattern.ts). Returns what the grammar returns (test/stix/split.test.ts), and null for every other pattern.
 */
export function parseSingleComparison(text: string): { type: ObservableType; value: string } | null {
  const match = text.length > MAX_LENGTH ? null : COMPARISON.exec(text);
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
  return key === undefined ? typeOfPath(object, property) : null;
}

/** Only `\'` and `\\` are escapes (STIX 2.1 section 9.3). Any other backslash is literal, as in registry keys that are sent unescaped. */
function unescapeLiteral(literal: string): string {
  return literal.includes('\\') ? literal.replace(/\\(['\\])/g, '$1') : literal;
}

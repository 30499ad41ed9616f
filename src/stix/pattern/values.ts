import type { ObservableType } from '../../model/observable.ts';
import { typeOfHash, typeOfPath } from './path.ts';
import { type PatternValue, splitPattern } from './split.ts';
import { parseSyntax } from './syntax.ts';

/** STIX patterns as others write them, to the values that they name. */
export type PatternReading =
  | { values: PatternValue[] }
  /** `isStix`: it is a pattern of STIX 2.1 all the same, and may be served as it came. */
  | { fault: string; isStix: boolean };

/** The values that a pattern names, each of which says what the whole says; or in one line why there are none. */
export function readPattern(text: string): PatternReading {
  const plain = readPlain(text);
  if (plain !== null) return { values: [{ types: [plain.type], value: plain.value, labels: [] }] };
  const syntax = parseSyntax(text);
  if ('fault' in syntax) return { fault: syntax.fault, isStix: false };
  const values = splitPattern(syntax.root);
  return 'fault' in values ? { fault: values.fault, isStix: !syntax.isLoose } : { values };
}

const COMPARISON =
  /^\s*\[\s*([a-z0-9-]+):([a-z_]+)(?:\.(?:'([\w-]+)'|"([\w-]+)"|([\w-]+)))?\s*(==?|\sISSUBSET)\s*(?:'([^'\\]*(?:\\.[^'\\]*)*)'|(0|[1-9]\d{0,11}))\s*\]\s*$/s;
/** A comparison on the longest value that is taken is shorter. */
const MAX_PLAIN = 20_000;

/**
 * The grammar's answer for a pattern of one comparison, without the grammar: nearly every pattern of a feed is one, and this
 * takes a hundredth of the time (bench/pattern.ts). Null for everything else, which the grammar reads.
 */
export function readPlain(text: string): { type: ObservableType; value: string } | null {
  const match = text.length > MAX_PLAIN ? null : COMPARISON.exec(text);
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

/** Before any other character a backslash is the writer's own: registry keys are often sent unescaped. */
function unescapeLiteral(literal: string): string {
  return literal.includes('\\') ? literal.replace(/\\(['\\])/g, '$1') : literal;
}

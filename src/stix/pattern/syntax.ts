import { SyntaxError as PatternError, parse } from './parser.ts';

/** A STIX pattern (STIX 2.1 section 9) as a tree. The grammar is grammar/stix-pattern.peggy, from which parser.ts is made. */

export type Constant = string | number | boolean | null;

/** `object:a.b[*]` as `['object', 'a', 'b', '[*]']`, compared with one constant, a list (IN) or nothing (EXISTS). */
export interface Comparison {
  path: string[];
  isNegated: boolean;
  operator: '=' | '!=' | '<' | '>' | '<=' | '>=' | 'IN' | 'LIKE' | 'MATCHES' | 'ISSUBSET' | 'ISSUPERSET' | 'EXISTS';
  /** Null: a timestamp or binary constant, which no observable is read from. */
  values: Constant[];
}

/** The comparisons between two brackets, which are about one observation. */
export type Facts = Comparison | { join: 'AND' | 'OR'; of: Facts[] };

export interface Qualifier {
  word: 'START' | 'WITHIN' | 'REPEATS';
  /** How often, for REPEATS. */
  times?: number;
}

export type Expression =
  | { observed: Facts }
  | { join: 'AND' | 'OR' | 'FOLLOWEDBY'; of: Expression[] }
  | { of: Expression; bounds: Qualifier[] };

export interface Syntax {
  root: Expression;
  /** It has a common spelling that STIX does not allow, so the pattern must not be passed on unchanged. */
  isLoose: boolean;
}

/** Longest pattern that is read: 300 SHA-256 and more, and 30 ms at worst. */
export const MAX_PATTERN = 32_768;
/** Parentheses in parentheses; people write three. */
const MAX_DEPTH = 64;

/** Parses a pattern, in time linear in its length. `fault`: in one line, why it is none. */
export function parseSyntax(pattern: string): Syntax | { fault: string } {
  if (pattern.length > MAX_PATTERN) return { fault: `${pattern.length} characters, more than ${MAX_PATTERN}` };
  try {
    return parse(pattern, { maxDepth: MAX_DEPTH }) as Syntax;
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    const { message, found, location } = error as PatternError & { found: string | null; location?: Place };
    if (found === null && message === DEEP) return { fault: `${message}, more than ${MAX_DEPTH} parentheses` };
    return { fault: `no STIX pattern from character ${(location?.start.offset ?? 0) + 1} on` };
  }
}

interface Place {
  start: { offset: number };
}

/** The message of the grammar. */
const DEEP = 'nested too deep';

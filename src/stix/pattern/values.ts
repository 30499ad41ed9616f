import { parseSingleComparison } from './single-comparison.ts';
import { type PatternValue, splitPattern } from './split.ts';
import { parseSyntax } from './syntax.ts';

/** The values that a pattern names, or why it names none. */
export type PatternReading =
  | { values: PatternValue[] }
  /** `fault`: one line for people. `isStix`: the pattern is valid STIX 2.1, so the indicator may be passed on unchanged. */
  | { fault: string; isStix: boolean };

/** Reads a pattern as feeds write it. Each value alone must mean what the whole pattern means (split.ts). */
export function readPattern(text: string): PatternReading {
  const single = parseSingleComparison(text);
  if (single !== null) return { values: [{ types: [single.type], value: single.value, labels: [] }] };
  const syntax = parseSyntax(text);
  if ('fault' in syntax) return { fault: syntax.fault, isStix: false };
  const values = splitPattern(syntax.root);
  return 'fault' in values ? { fault: values.fault, isStix: !syntax.isLoose } : { values };
}

import { RE2JS } from 're2js';
import type { ObservableType } from './observable.ts';
import type { Observation } from './observation.ts';

/** What of a feed's rows is kept. Absent members exclude nothing. */
export interface FeedFilter {
  types?: ObservableType[];
  /** At least one of these labels; in any case. */
  labels?: string[];
  /** None of these. */
  not_labels?: string[];
  /** 0 to 100. A row counts with the feed's confidence where it has none, and as 0 where the feed has none either. */
  min_confidence?: number;
  /** Regular expressions (RE2) of which one must be found in the canonical value. */
  values?: string[];
  not_values?: string[];
}

/** Steps of a compiled expression: each takes time for each character of each value. */
const MAX_STEPS = 1000;

/** Throws an Error that says what is wrong with an expression. RE2 takes linear time, whatever the expression. */
export function compileValuePattern(pattern: string): RE2JS {
  const expression = RE2JS.compile(pattern);
  if (expression.programSize() <= MAX_STEPS) return expression;
  throw new Error(`takes more than ${MAX_STEPS} steps`);
}

type Decide = (observation: Observation, confidence: number | null) => boolean;

/** Filters are part of the configuration, so there are few. */
const decisions = new WeakMap<FeedFilter, Decide>();

/** Is the observation kept? `confidence`: the feed's. What the feed takes back passes, so that it ends what was said before. */
export function passesFilter(filter: FeedFilter, observation: Observation, confidence: number | null): boolean {
  const decide = decisions.get(filter) ?? decisionOf(filter);
  decisions.set(filter, decide);
  return observation.revoked || decide(observation, confidence);
}

function decisionOf({ types, labels, not_labels, min_confidence = 0, values, not_values = [] }: FeedFilter): Decide {
  const lower = (all: readonly string[]): string[] => all.map((label) => label.toLowerCase());
  const [wanted, unwanted] = [labels && new Set(lower(labels)), new Set(lower(not_labels ?? []))];
  const [taken, left] = [values?.map(compileValuePattern), not_values.map(compileValuePattern)];
  return ({ observable, labels: said, confidence }, feedConfidence) => {
    if (types !== undefined && !types.includes(observable.type)) return false;
    if ((confidence ?? feedConfidence ?? 0) < min_confidence) return false;
    const own = wanted === undefined && unwanted.size === 0 ? [] : lower(said);
    if (wanted !== undefined && !own.some((label) => wanted.has(label))) return false;
    if (own.some((label) => unwanted.has(label))) return false;
    if (taken !== undefined && !taken.some((pattern) => pattern.test(observable.value))) return false;
    return !left.some((pattern) => pattern.test(observable.value));
  };
}

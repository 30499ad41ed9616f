import { query } from 'jsonpath-rfc9535';
import parse from 'jsonpath-rfc9535/parser';
import { GatewayError, messageOf } from '../../model/error.ts';
import type { Json } from '../../model/json.ts';

/** A step of a path: the member of a name, or every member of a list or object. */
export type Step = { name: string } | 'every';

/** A path of RFC 9535. */
export interface Path {
  text: string;
  /** Its steps, where names and wildcards are all that it has; else null. */
  steps: Step[] | null;
  /** What it finds in a value. */
  find(value: Json): Json[];
}

/** Reads a path. Throws `config-invalid` for what is none. */
export function readPath(text: string): Path {
  const steps = stepsOf(text);
  if (steps !== null) return { text, steps, find: (value) => follow(steps, value) };
  return {
    text,
    steps,
    find(value) {
      try {
        return query(value, text);
      } catch (error) {
        // A value that is nested too deep for the library's recursion.
        if (error instanceof RangeError) return [];
        throw error;
      }
    },
  };
}

function stepsOf(text: string): Step[] | null {
  const steps: Step[] = [];
  let isPlain = true;
  for (const { type, node } of segmentsOf(text)) {
    const selectors = node.type === 'BracketedSelection' ? node.selectors : [node];
    const [selector] = selectors;
    if (type !== 'ChildSegment' || selectors.length !== 1 || selector === undefined) isPlain = false;
    else if (selector.type === 'WildcardSelector') steps.push('every');
    else if (selector.type === 'NameSelector' || selector.type === 'MemberNameShorthand')
      steps.push({ name: selector.value });
    else isPlain = false;
  }
  return isPlain ? steps : null;
}

function segmentsOf(text: string) {
  const refuse = (why: string): never => {
    throw new GatewayError('config-invalid', `${JSON.stringify(text)} is no path that can be read here: ${why}`);
  };
  try {
    const { segments } = parse(text);
    // Their expressions would run without a bound on their time.
    if (/"FunctionExpr","name":"(?:match|search)"/.test(JSON.stringify(segments)))
      refuse('match() and search() are not offered');
    return segments;
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    return refuse(`it is not as RFC 9535 has it (${messageOf(error)})`);
  }
}

function follow(steps: readonly Step[], value: Json): Json[] {
  let found: Json[] = [value];
  for (const step of steps) {
    const next: Json[] = [];
    for (const one of found) {
      if (typeof one !== 'object' || one === null) continue;
      if (step === 'every') for (const member of Object.values(one)) next.push(member);
      else if (!Array.isArray(one) && Object.hasOwn(one, step.name)) next.push(one[step.name] as Json);
    }
    found = next;
  }
  return found;
}

/** Reads one value of a record: a member by its names (`a.b`), an item of a list by its number from 1, or a path (`$…`). */
export type Selector = (record: Json) => unknown;

export function readSelector(selector: string | number): Selector {
  if (typeof selector === 'number') return (record) => (Array.isArray(record) ? record[selector - 1] : undefined);
  if (!selector.startsWith('$')) {
    const names = selector.split('.');
    return (record) => memberOf(names, record);
  }
  const path = readPath(selector);
  return (record) => {
    const found = path.find(record);
    return found.length > 1 ? found : found[0];
  };
}

function memberOf(names: readonly string[], record: Json): unknown {
  let value: Json = record;
  for (const name of names) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined;
    value = value[name] as Json;
  }
  return value;
}

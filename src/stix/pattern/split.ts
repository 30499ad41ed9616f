import type { ObservableType } from '../../model/observable.ts';
import { algorithmOf, typeOfHash, typeOfPath } from './path.ts';
import type { Comparison, Constant, Expression, Facts } from './syntax.ts';

/** A value in a pattern, as it is written there. */
export interface PatternValue {
  /** The possible types of the value. */
  types: readonly ObservableType[];
  value: string;
  /** Further facts of the pattern, as labels: port, protocol, file name. */
  labels: readonly string[];
}

/** A pattern with more values is not split. */
export const MAX_VALUES = 1000;

/** The pattern can't be split: its values alone would match more than the pattern. */
class Unsplittable extends Error {}

/**
 * The values of a pattern, if each value alone means what the pattern means: alternatives (OR, IN), and facts about one thing that its
 * value identifies (hashes of one file, the address at one end of traffic). `fault`: in one line, why a value alone would match more
 * than the pattern: two things at once or in order, a negation, a comparison, a part of a text.
 */
export function splitPattern(root: Expression): PatternValue[] | { fault: string } {
  try {
    const values = valuesOf(root);
    if (values.length === 0) return { fault: 'no value' };
    return values.length > MAX_VALUES ? { fault: `${values.length} values, more than ${MAX_VALUES}` } : values;
  } catch (error) {
    if (error instanceof Unsplittable) return { fault: error.message };
    throw error;
  }
}

function valuesOf(expression: Expression): PatternValue[] {
  if ('observed' in expression) return valuesOfFacts(expression.observed);
  if ('join' in expression) {
    if (expression.join === 'OR') return expression.of.flatMap(valuesOf);
    throw new Unsplittable(`${expression.join} of observations`);
  }
  // One observation fits WITHIN any time span. REPEATS of more than one and START are narrower than the value.
  const bound = expression.bounds.find(({ word, times }) => word === 'START' || (word === 'REPEATS' && times !== 1));
  if (bound !== undefined) throw new Unsplittable(`observations bound by ${bound.word}`);
  return valuesOf(expression.of);
}

function valuesOfFacts(facts: Facts): PatternValue[] {
  if (!('join' in facts)) return valuesOfComparison(facts);
  if (facts.join === 'OR') return facts.of.flatMap(valuesOfFacts);
  return valuesOfOneThing(facts.of.flatMap(conjuncts));
}

/** The comparisons that must all hold: parentheses around some of them change nothing. */
function conjuncts(facts: Facts): Comparison[] {
  if (!('join' in facts)) return [facts];
  if (facts.join === 'AND') return facts.of.flatMap(conjuncts);
  throw new Unsplittable('OR within AND');
}

function valuesOfComparison(comparison: Comparison): PatternValue[] {
  const { path, operator, values } = comparison;
  const types = typesOf(path);
  if (types === null) throw new Unsplittable(`${textOf(path)} is nothing that is modelled`);
  // ISSUBSET is about networks only (STIX 2.1 section 9.6.1).
  const fitting = operator === 'ISSUBSET' ? types.filter((type) => type === 'ipv4' || type === 'ipv6') : types;
  const isTaken = operator === '=' || operator === 'IN' || operator === 'ISSUBSET';
  if (comparison.isNegated || !isTaken || fitting.length === 0)
    throw new Unsplittable(`a comparison by ${operatorOf(comparison)}`);
  return values.map((value) => ({ types: fitting, value: wordOf(value, fitting), labels: [] }));
}

/** An AS number may be written as text. */
function wordOf(value: Constant, types: readonly ObservableType[]): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && types.includes('asn')) return String(value);
  throw new Unsplittable('a constant that is no text');
}

const ends = ['src', 'dst'] as const;
/** STIX type of an end of traffic, and what its value is. */
const endTypes = new Map<string, readonly ObservableType[]>([
  ['ipv4-addr', ['ipv4']],
  ['ipv6-addr', ['ipv6']],
  ['domain-name', ['domain']],
]);
const endpointTypes: readonly ObservableType[] = ['ipv4', 'ipv6', 'domain'];
const senders = new Set(['from_ref', 'sender_ref']);

/** The types that a path's value may have; null when the value alone identifies nothing. */
function typesOf(path: readonly string[]): readonly ObservableType[] | null {
  const [object = '', property = '', key, more] = path;
  if (more !== undefined) return null;
  if (object === 'network-traffic') return key === 'value' && endOf(property, '_ref') !== null ? endpointTypes : null;
  if (object === 'email-message') return key === 'value' && senders.has(property) ? ['email'] : null;
  const type = property === 'hashes' && key !== undefined ? typeOfHash(object, key) : null;
  if (type !== null) return [type];
  const known = key === undefined ? typeOfPath(object, property) : null;
  return known === null ? null : [known];
}

function endOf(property: string, suffix: string): (typeof ends)[number] | null {
  return ends.find((end) => property === end + suffix) ?? null;
}

/** The values of facts joined by AND, if they are about one thing that one of them identifies. */
function valuesOfOneThing(facts: Comparison[]): PatternValue[] {
  const wrong = facts.find((fact) => fact.isNegated || (fact.operator !== '=' && typesOf(fact.path) === null));
  if (wrong !== undefined) throw new Unsplittable(`AND with a comparison by ${operatorOf(wrong)}`);
  const paths = new Set(facts.map(({ path }) => textOf(path)));
  if (paths.size < facts.length) throw new Unsplittable('AND of two comparisons on one property');
  const [object, ...others] = new Set(facts.map(({ path }) => path[0]));
  const isHashed = object === 'file' || object === 'x509-certificate';
  return isHashed && others.length === 0 ? valuesOfHashes(facts) : valuesOfEndpoint(facts);
}

/** Facts about a file that may stand beside its hash, which identifies it alone. */
const beside = new Set(['file:name', 'file:size', 'file:mime_type']);

/** The hashes of one file or certificate. Each of them identifies it. */
function valuesOfHashes(facts: Comparison[]): PatternValue[] {
  const hashes = facts.filter(({ path }) => path[1] === 'hashes' && path.length === 3);
  const asides = facts.filter((fact) => !hashes.includes(fact));
  const other = facts.find(
    (fact) =>
      fact.operator !== '=' ||
      (asides.includes(fact) && !beside.has(textOf(fact.path))) ||
      (fact.path[1] === 'name' && typeof fact.values[0] !== 'string'),
  );
  if (other !== undefined) throw new Unsplittable(`AND with ${textOf(other.path)}`);
  const modelled = hashes.filter(({ path }) => typesOf(path) !== null);
  if (modelled.length === 0) throw new Unsplittable('AND without a hash that is modelled');
  const algorithms = modelled.map(({ path: [, , key = ''] }) => algorithmOf(key));
  if (new Set(algorithms).size < algorithms.length) throw new Unsplittable('AND of two hashes of one kind');
  const labels = asides.flatMap(({ path, values: [value] }) => (path[1] === 'name' ? [`file-name:${value}`] : []));
  return modelled.flatMap((fact) => valuesOfComparison(fact).map((value) => ({ ...value, labels })));
}

/**
 * The address or host at one end of traffic, as MISP writes it: with its type, and perhaps the port of that end and the protocol.
 * Port and protocol become labels, as for rows of `address:port`.
 */
function valuesOfEndpoint(facts: Comparison[]): PatternValue[] {
  const [named, ...others] = facts.filter(({ path }) => typesOf(path) !== null);
  const types = named === undefined ? null : typesOf(named.path);
  if (named === undefined || others.length > 0 || !types?.some((type) => endpointTypes.includes(type)))
    throw new Unsplittable('AND of different things');
  const [object, property = ''] = named.path;
  // MISP's `ip|port` and `hostname|port` name a value by itself, and the port as that of traffic.
  const end = object === 'network-traffic' ? endOf(property, '_ref') : null;
  const asides = facts.filter((fact) => fact !== named).map((fact) => asideOf(fact, end));
  const labels = asides.flatMap(({ label }) => label ?? []);
  if (labels.filter((label) => label.startsWith('port:')).length > 1) throw new Unsplittable('AND of two ports');
  const told = asides.find((aside) => aside.types !== undefined)?.types ?? endpointTypes;
  return valuesOfComparison(named).map((value) => {
    const fitting = value.types.filter((type) => told.includes(type));
    if (fitting.length === 0) throw new Unsplittable(`a comparison by ${operatorOf(named)}`);
    return { ...value, types: fitting, labels };
  });
}

/** What a fact of traffic says of the thing at this end of it; null: at either end. */
function asideOf({ path, values: [value] }: Comparison, end: (typeof ends)[number] | null) {
  const [object, property = '', key, ...more] = path;
  const ownEnd = object === 'network-traffic' && more.length === 0 ? (end ?? endOf(property, '_port')) : null;
  if (ownEnd !== null) {
    const port = Number(value);
    const isPort = typeof value !== 'boolean' && Number.isInteger(port) && port >= 1 && port <= 65_535;
    if (property === `${ownEnd}_port` && key === undefined && isPort) return { label: `port:${port}` };
    if (property === 'protocols' && key?.startsWith('[') === true && typeof value === 'string')
      return { label: `protocol:${value}` };
    const types = property === `${end}_ref` && key === 'type' ? endTypes.get(String(value)) : undefined;
    if (types !== undefined) return { types };
  }
  throw new Unsplittable(`AND with ${textOf(path)}`);
}

function operatorOf({ isNegated, operator }: Comparison): string {
  return isNegated ? `NOT ${operator}` : operator;
}

/** As it was written, but for quotes. */
function textOf([object, ...steps]: readonly string[]): string {
  return `${object}:${steps.join('.').replaceAll('.[', '[')}`;
}

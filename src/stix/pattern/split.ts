import type { ObservableType } from '../../model/observable.ts';
import { algorithmOf, typeOfHash, typeOfPath } from './path.ts';
import type { Comparison, Constant, Expression, Facts } from './syntax.ts';

/** A value that a pattern names, as it is written there; not yet canonical. */
export interface PatternValue {
  /** What the value is claimed to be: one type, or any of several. */
  types: readonly ObservableType[];
  value: string;
  /** What the pattern says beside it: the port, the protocol, the file's name. */
  labels: readonly string[];
}

/** More from one pattern are a list, which a feed should send as one. */
export const MAX_VALUES = 1000;

/** A pattern whose values do not stand for it. */
class Unsplittable extends Error {}

/**
 * The values of a pattern where each by itself says what the pattern says: alternatives (OR, IN), and several facts about one
 * thing that its value alone names (hashes of one file, the address at one end of traffic). In one line why not, where a
 * value alone would say more than the pattern: two things at once or in order, a negation, a comparison, part of a text.
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
  // One observation lies within any stretch of time; seen twice, or between two dates, is more than seen.
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
const placeTypes: readonly ObservableType[] = ['ipv4', 'ipv6', 'domain'];
const senders = new Set(['from_ref', 'sender_ref']);

/** Null for a path whose value names nothing by itself. */
function typesOf(path: readonly string[]): readonly ObservableType[] | null {
  const [object = '', property = '', key, more] = path;
  if (more !== undefined) return null;
  if (object === 'network-traffic') return key === 'value' && endOf(property, '_ref') !== null ? placeTypes : null;
  if (object === 'email-message') return key === 'value' && senders.has(property) ? ['email'] : null;
  const type = property === 'hashes' && key !== undefined ? typeOfHash(object, key) : null;
  if (type !== null) return [type];
  const known = key === undefined ? typeOfPath(object, property) : null;
  return known === null ? null : [known];
}

function endOf(property: string, suffix: string): (typeof ends)[number] | null {
  return ends.find((end) => property === end + suffix) ?? null;
}

/** Facts that all hold of one observation: read where they are about one thing that one of them names. */
function valuesOfOneThing(facts: Comparison[]): PatternValue[] {
  const wrong = facts.find((fact) => fact.isNegated || (fact.operator !== '=' && typesOf(fact.path) === null));
  if (wrong !== undefined) throw new Unsplittable(`AND with a comparison by ${operatorOf(wrong)}`);
  const said = new Set(facts.map(({ path }) => textOf(path)));
  if (said.size < facts.length) throw new Unsplittable('AND of two comparisons on one property');
  const [object, ...others] = new Set(facts.map(({ path }) => path[0]));
  const isHashed = object === 'file' || object === 'x509-certificate';
  return isHashed && others.length === 0 ? valuesOfHashes(facts) : valuesOfPlace(facts);
}

/** What a file or certificate is beside its hash; the hash alone says which it is. */
const beside = new Set(['file:name', 'file:size', 'file:mime_type']);

/** Hashes of one thing are names of it, each as good as all of them together. */
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
 * The address or host at one end of traffic, as MISP writes it: its type beside it, perhaps the port at that end and the
 * protocol. These narrow what is meant; they go along as labels, as they do for rows of `address:port`.
 */
function valuesOfPlace(facts: Comparison[]): PatternValue[] {
  const [named, ...others] = facts.filter(({ path }) => typesOf(path) !== null);
  const types = named === undefined ? null : typesOf(named.path);
  if (named === undefined || others.length > 0 || !types?.some((type) => placeTypes.includes(type)))
    throw new Unsplittable('AND of different things');
  const [object, property = ''] = named.path;
  // MISP's `ip|port` and `hostname|port` name a value by itself, and the port as that of traffic.
  const end = object === 'network-traffic' ? endOf(property, '_ref') : null;
  const asides = facts.filter((fact) => fact !== named).map((fact) => asideOf(fact, end));
  const labels = asides.flatMap(({ label }) => label ?? []);
  if (labels.filter((label) => label.startsWith('port:')).length > 1) throw new Unsplittable('AND of two ports');
  const told = asides.find((aside) => aside.types !== undefined)?.types ?? placeTypes;
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

import { parseDuration } from '../model/duration.ts';
import type { Secret } from '../model/secret.ts';
import { complaintsAbout, didYouMean, type SchemaNode } from './messages.ts';
import { type Mark, pathText, type Step } from './problem.ts';
import { readSecret, type SecretContext } from './secret.ts';
import { type ConfigNode, nodeOf, plainOf } from './yaml.ts';

export interface ReadContext extends SecretContext {
  /** Called for an optional secret that is absent. */
  absent(at: Mark, path: readonly Step[], why: string): void;
  /** The position of each value by its dotted path, for later checks. */
  places: Map<string, Mark>;
}

/**
 * Reads a node by its schema: fills in defaults, and turns durations into milliseconds and secrets into Secret. Reports every unknown
 * key, wrong type and value out of bounds with its position. The result has the schema's static type if nothing was reported; else it
 * serves only to find further problems.
 */
export function readValue(schema: SchemaNode, node: ConfigNode, path: readonly Step[], context: ReadContext): unknown {
  context.places.set(pathText(path), node.at);
  if (node.kind === 'broken' || schema['x-later']) return undefined;
  if (schema['x-secret']) return readSecretValue(schema, node, path, context);
  if (isObject(schema)) return readObject(schema, node, path, context);
  if (node.kind === 'scalar' && node.value === null) {
    context.report(node.at, path, 'has no value');
    return undefined;
  }
  if (schema['x-duration']) return readDuration(schema, node, path, context);
  if (schema.anyOf !== undefined) return readUnion(schema, schema.anyOf, node, path, context);
  if (schema.type === 'array') return readList(schema, node, path, context);
  const value = plainOf(node);
  refuseCredentials(node, path, context);
  complain(schema, value, node.at, path, context);
  return value;
}

const isObject = (schema: SchemaNode): boolean => schema.type === 'object';

function complain(schema: SchemaNode, value: unknown, at: Mark, path: readonly Step[], context: ReadContext): void {
  for (const complaint of complaintsAbout(schema, value)) context.report(at, path, complaint);
}

function readSecretValue(
  schema: SchemaNode,
  node: ConfigNode,
  path: readonly Step[],
  context: ReadContext,
): Secret | undefined {
  const reading = readSecret(node, path, schema, context);
  if (reading === 'broken') return undefined;
  if ('absent' in reading) context.absent(node.at, path, reading.absent);
  return reading.secret;
}

function readDuration(
  schema: SchemaNode,
  node: ConfigNode,
  path: readonly Step[],
  context: ReadContext,
): number | undefined {
  const milliseconds = node.kind === 'scalar' && typeof node.value === 'string' ? parseDuration(node.value) : undefined;
  if (milliseconds === undefined) {
    context.report(
      node.at,
      path,
      'must be a duration of at most ten years: a number with ms, s, m, h, d or w, such as 10m',
    );
    return undefined;
  }
  complain(schema, milliseconds, node.at, path, context);
  return milliseconds;
}

function readList(schema: SchemaNode, node: ConfigNode, path: readonly Step[], context: ReadContext): unknown {
  if (node.kind !== 'list') {
    context.report(node.at, path, 'must be a list, such as [one, two]');
    return undefined;
  }
  const { items, ...shallow } = schema;
  const values = node.items.map((item, i) => readValue(items ?? {}, item, [...path, i], context));
  complain(shallow, values, node.at, path, context);
  return values;
}

/** Reads a value by the branch of its kind (map, list or scalar). Among several scalars, TypeBox decides. */
function readUnion(
  schema: SchemaNode,
  branches: SchemaNode[],
  node: ConfigNode,
  path: readonly Step[],
  context: ReadContext,
): unknown {
  const fitting = branches.filter((branch) => formOf(branch) === node.kind);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return readValue(only, node, path, context);
  if (node.kind === 'scalar' || fitting.length === 0) {
    const value = plainOf(node);
    refuseCredentials(node, path, context);
    // A secret's own schema takes anything: what stands here is none, or its branch would have been taken.
    complain({ ...schema, anyOf: branches.filter((branch) => !branch['x-secret']) }, value, node.at, path, context);
    return value;
  }
  for (const branch of fitting) {
    let fits = true;
    const refuse = (): void => {
      fits = false;
    };
    const trial = { ...context, report: refuse, warn: () => {}, absent: () => {} };
    readValue(branch, node, path, trial);
    if (fits) return readValue(branch, node, path, context);
  }
  context.report(
    node.at,
    path,
    schema['x-expects'] ? `must be ${schema['x-expects']}` : 'is not in any of the allowed forms',
  );
  return undefined;
}

function formOf(schema: SchemaNode): ConfigNode['kind'] {
  if (isObject(schema) || schema['x-secret']) return 'map';
  return schema.type === 'array' ? 'list' : 'scalar';
}

/** Reads a map. A section without a value (`pools:`) is empty. */
function readObject(schema: SchemaNode, node: ConfigNode, path: readonly Step[], context: ReadContext): unknown {
  if (node.kind !== 'map' && !(node.kind === 'scalar' && node.value === null)) {
    complain({ ...schema, required: undefined }, plainOf(node), node.at, path, context);
    return undefined;
  }
  const { properties = {}, patternProperties, additionalProperties, ...shallow } = schema;
  const value: Record<string, unknown> = {};
  const entries = node.kind === 'map' ? node.entries : new Map<string, never>();
  const records = Object.entries(patternProperties ?? {});
  for (const [key, { keyAt, node: child }] of entries) {
    const keyPath = [...path, key];
    const record = records.find(([pattern]) => new RegExp(pattern).test(key))?.[1];
    if (Object.hasOwn(properties, key)) continue;
    if (record !== undefined) define(value, key, readValue(record, child, keyPath, context));
    else if (records.length > 0) {
      context.report(keyAt, keyPath, schema['x-keys'] ?? 'is not a name that can stand here');
      define(value, key, undefined);
    } else if (additionalProperties === false) {
      context.report(keyAt, keyPath, `is an unknown key${didYouMean(key, Object.keys(properties))}`);
    } else define(value, key, readValue({}, child, keyPath, context));
  }
  for (const [key, child] of Object.entries(properties)) {
    const entry = entries.get(key);
    const given = entry?.node ?? (child.default === undefined ? undefined : nodeOf(child.default, node.at));
    if (given !== undefined) define(value, key, readValue(child, given, [...path, key], context));
  }
  complain(shallow, value, node.at, path, context);
  return value;
}

/** Defines a property, so that `__proto__` is a key like any other. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

const USERINFO = /^\s*[a-z][a-z0-9+.-]*:\/\/[^/?#\s]*@/i;
const CREDENTIAL_PARAMETER =
  /^\s*[a-z][a-z0-9+.-]*:\/\/.*[?&](?:[a-z_-]*(?:key|token|secret|passw(?:or)?d)|auth|sig(?:nature)?)=(?!\{(?:key|secret:[^{}]*)\})/i;

/** Reports addresses with credentials, because addresses are logged and shown (RFC 3986 section 3.2.1). */
function refuseCredentials(node: ConfigNode, path: readonly Step[], context: ReadContext): void {
  if (node.kind === 'list') node.items.forEach((item, i) => void refuseCredentials(item, [...path, i], context));
  if (node.kind === 'map')
    node.entries.forEach((entry, key) => void refuseCredentials(entry.node, [...path, key], context));
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return;
  if (USERINFO.test(node.value))
    context.report(node.at, path, 'must not carry a user or password: addresses are logged and shown');
  else if (CREDENTIAL_PARAMETER.test(node.value)) {
    context.report(node.at, path, 'must not carry a key or token: addresses are logged and shown');
  }
}

import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatewayError } from '../src/model/error.ts';

interface Described {
  properties?: Record<string, { 'x-expects'?: string; maxItems?: number } | undefined>;
  additionalProperties?: unknown;
}

type Complaint = ReturnType<ReturnType<typeof Compile>['Errors']>[number];

/**
 * Validates requests by their schemas and changes nothing in them: no coercion, no default, no property removed. Fails with
 * `bad-request`, which names the parameter and says what is expected, by `x-expects` where the schema has it.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const check = (value: unknown) => {
    const excess = excessOf(value, schema as Described);
    if (excess !== null) return { error: refusal(excess) };
    if (validator.Check(value)) return { value };
    return { error: refusal(wordingOf(validator.Errors(value), schema as Described, httpPart)) };
  };
  if (httpPart !== 'querystring') return check;
  // The same query is the same frozen object (query.ts): it is validated once.
  const good = new WeakSet<object>();
  return (query: object) => {
    if (good.has(query)) return { value: query };
    const result = check(query);
    if (!('error' in result)) good.add(query);
    return result;
  };
};

/** What is wrong, and with which parameter; null: with the request as a whole. */
interface Wording {
  name: string | null;
  text: string;
}

function refusal({ name, text }: Wording): GatewayError {
  return new GatewayError('bad-request', text, name === null ? {} : { details: { parameter: name } });
}

/**
 * Finds the first unknown member, or a list that is too long. It runs before TypeBox, which reports every wrong member and item: 0.9 s for a
 * million of them.
 */
function excessOf(value: unknown, { properties = {}, additionalProperties }: Described): Wording | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  for (const name in value) {
    if (!Object.hasOwn(properties, name)) {
      if (additionalProperties === false) return unknownName(name, properties);
      continue;
    }
    const member: unknown = (value as Record<string, unknown>)[name];
    const most = properties[name]?.maxItems ?? Number.POSITIVE_INFINITY;
    if (Array.isArray(member) && member.length > most)
      return { name, text: `${name} must be ${properties[name]?.['x-expects'] ?? `a list of up to ${most}`}.` };
  }
  return null;
}

function unknownName(name: string, properties: object): Wording {
  const shown = name.slice(0, 64);
  return { name: shown, text: `${shown} is no parameter here: there are ${Object.keys(properties).join(', ')}.` };
}

function wordingOf(complaints: Complaint[], schema: Described, part = 'request'): Wording {
  for (const { keyword, params } of complaints) {
    const missing = firstOf(params, 'requiredProperties');
    if (keyword === 'required' && missing !== null) return { name: missing, text: `${missing} is missing.` };
  }
  const [first] = complaints;
  const path = (first?.instancePath ?? '').slice(1).split('/');
  const name = (path[0] ?? '').replaceAll('~1', '/').replaceAll('~0', '~').slice(0, 64);
  if (name === '') return { name: null, text: `The ${part} must be a JSON object.` };
  const expects = schema.properties?.[name]?.['x-expects'];
  return { name, text: expects === undefined ? `${name} ${first?.message}.` : `${name} must be ${expects}.` };
}

function firstOf(params: object, key: string): string | null {
  const names: unknown = (params as Record<string, unknown>)[key];
  return Array.isArray(names) && names.length > 0 ? String(names[0]).slice(0, 64) : null;
}

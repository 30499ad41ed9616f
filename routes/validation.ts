import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatewayError } from '../src/model/error.ts';

interface Described {
  properties?: Record<string, { 'x-expects'?: string } | undefined>;
}

type Complaint = ReturnType<ReturnType<typeof Compile>['Errors']>[number];

/**
 * Checks requests by their schemas and changes nothing in them: no coercion, no default, no property removed. What is wrong
 * becomes `bad-request` that names the parameter, in the words of its `x-expects` where it has some.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const check = (value: unknown) =>
    validator.Check(value) ? { value } : { error: refusalOf(validator.Errors(value), schema as Described, httpPart) };
  if (httpPart !== 'querystring') return check;
  // What is asked again is the same object, which nobody can change (query.ts).
  const good = new WeakSet<object>();
  return (query: object) => {
    if (good.has(query)) return { value: query };
    const result = check(query);
    if (!('error' in result)) good.add(query);
    return result;
  };
};

function refusalOf(complaints: Complaint[], schema: Described, part: string | undefined): GatewayError {
  const { name, text } = wordingOf(complaints, schema, part);
  return new GatewayError('bad-request', text, name === null ? {} : { details: { parameter: name } });
}

function wordingOf(
  complaints: Complaint[],
  schema: Described,
  part = 'request',
): { name: string | null; text: string } {
  const known = Object.keys(schema.properties ?? {});
  for (const { keyword, params } of complaints) {
    const name = firstOf(params, 'additionalProperties');
    if (keyword === 'additionalProperties' && name !== null)
      return { name, text: `${name} is no parameter here: there are ${known.join(', ')}.` };
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

import Type, { type TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { GatewayError } from '../model/error.ts';
import type { Output } from './output.ts';

/** The options of a format that has none. */
export const noOptions = Type.Object({}, { additionalProperties: false });

/**
 * Returns a format's options with their defaults. Throws `bad-request` with the option's name for one that the format doesn't have or that
 * its schema refuses.
 */
export function readOptions(output: Output, given: Readonly<Record<string, unknown>>): object {
  const { properties } = output.options;
  for (const [name, value] of Object.entries(given)) {
    const schema = properties[name];
    if (schema === undefined) throw refusal(name, `is no option of the format ${output.name}`);
    const [error] = Value.Errors(schema, value);
    if (error !== undefined) throw refusal(name, error.message);
  }
  return Value.Default(output.options, { ...given }) as object;
}

/** Parses an option in a query by its schema. Text that is no such value is returned as it is, and refused by `readOptions`. */
export function parseOption(schema: TSchema, text: string): unknown {
  const { type } = schema as { type?: string };
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return type === 'integer' && /^\d+$/.test(text) ? Number(text) : text;
}

/** Returns the options of several formats by name. Throws `internal` if two formats define one name differently; defaults may differ. */
export function optionsOf(outputs: readonly Output[]): Record<string, TSchema> {
  const all: Record<string, TSchema> = {};
  for (const { name, options } of outputs) {
    for (const [option, schema] of Object.entries(options.properties)) {
      const known = all[option];
      if (known !== undefined && meaningOf(known) !== meaningOf(schema))
        throw new GatewayError('internal', `The option ${option} of the format ${name} has another meaning elsewhere.`);
      all[option] = schema;
    }
  }
  return all;
}

function meaningOf(schema: TSchema): string {
  return JSON.stringify({ ...schema, default: null });
}

function refusal(name: string, message: string): GatewayError {
  return new GatewayError('bad-request', `${name} ${message}.`, { details: { parameter: name } });
}

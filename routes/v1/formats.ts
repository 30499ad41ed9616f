import type { FastifyRequest } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { GatewayError } from '../../src/model/error.ts';
import { optionsOf, parseOption, readOptions } from '../../src/outputs/options.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { type Arrangement, fits } from '../../src/outputs/selection.ts';
import { mostAcceptable } from '../accept.ts';
import { optionParameter, wordParameter } from '../operation.ts';
import type { Query } from '../query.ts';

/** The formats that a route can answer in. */
export interface Formats {
  /** Parameters of a query: `format`, and each format's options. */
  parameters: Record<string, TSchema>;
  /** The same as members of a JSON body. */
  members: Record<string, TSchema>;
  /** Bodies by media type, for openapi.json. */
  content: Record<string, TSchema>;
  /**
   * The format that is asked for, with its options: `format` decides, else Accept (RFC 9110 section 12.5.1), else the first there
   * is. Throws `not-acceptable` when Accept rules all of them out, and `bad-request` for an option that the format doesn't take.
   */
  choose(request: FastifyRequest, query: Query): Chosen;
}

export interface Chosen {
  output: Output;
  options: object;
}

/** Everything in the registry that is fine with entries arranged like this. `schemas`: bodies that are not just text, by format. */
export function formatsFor(
  { expressesObjects, arrangement }: { expressesObjects: boolean; arrangement: Arrangement },
  schemas: Record<string, TSchema>,
  description: string,
): Formats {
  const offered = Object.values<Output>(outputs).filter(
    (output) => output.expressesObjects === expressesObjects && fits(output, readOptions(output, {}), arrangement),
  );
  const options = askOptions(offered);
  const format = wordParameter(
    offered.map(({ name }) => name),
    { description },
  );
  return {
    parameters: { format, ...options.parameters },
    members: { format, ...options.members },
    content: Object.fromEntries(
      offered.map(({ name, mediaType }) => [withoutCharset(mediaType), schemas[name] ?? Type.String()]),
    ),
    choose(request, query) {
      const output = chooseOutput(request, query['format'], offered);
      return { output, options: options.read(output, query) };
    },
  };
}

/** The options of formats as parameters of a query, and as members of a JSON body. */
export interface AskedOptions extends Pick<Formats, 'parameters' | 'members'> {
  /** The format's options, with their defaults. Throws `bad-request` for those of another format. */
  read(output: Output, query: Query): object;
}

export function askOptions(offered: readonly Output[]): AskedOptions {
  const options = optionsOf(offered);
  const takenBy = (option: string): string =>
    offered.flatMap((output) => (option in output.options.properties ? [`\`${output.name}\``] : [])).join(', ');
  const optional = (make: (schema: TSchema) => TSchema) =>
    Object.fromEntries(
      Object.entries<TSchema & { description?: string }>(options).map(([name, schema]) => [
        name,
        Type.Optional(make({ ...schema, description: `With the format ${takenBy(name)}: ${schema.description}` })),
      ]),
    );
  return {
    parameters: optional(optionParameter),
    members: optional((schema) => schema),
    read(output, query) {
      const given = Object.entries(options).flatMap(([name, schema]) => {
        const text = query[name];
        return text === undefined ? [] : [[name, parseOption(schema, text)]];
      });
      return readOptions(output, Object.fromEntries(given));
    },
  };
}

function chooseOutput({ headers }: FastifyRequest, format: string | undefined, offered: readonly Output[]): Output {
  const typesOf = ({ mediaType, aliases }: Output) => [essenceOf(mediaType), ...aliases];
  const named = offered.find(({ name }) => name === format);
  const chosen = named ?? mostAcceptable(headers.accept, offered, typesOf);
  if (chosen !== null) return chosen;
  const types = [...new Set(offered.map(({ mediaType }) => essenceOf(mediaType)))];
  throw new GatewayError('not-acceptable', `There is ${types.join(', ')}; say which by Accept or format.`);
}

function withoutCharset(mediaType: string): string {
  return mediaType.replace(/; charset=.*$/, '');
}

function essenceOf(mediaType: string): string {
  return mediaType.split(';')[0] ?? mediaType;
}

import Type from 'typebox';
import type { ListDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import { type ObservableType, observableTypes } from '../../src/model/observable.ts';
import type { Output } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { numberParameter, unitedParameters, wordParameter, wordsParameter } from '../operation.ts';
import { badParameter, type Query } from '../query.ts';
import { askOptions } from '../v1/formats.ts';

/** What a list may be asked to be, in the query of an address that no section of the configuration stands behind. */

const MOST_ENTRIES = 10_000_000;
const MOST_PAGES = 10_000;
const whether = (description: string) => wordParameter(['true', 'false'], { description });

const options = askOptions(Object.values<Output>(outputs));

const pageParameters = {
  page: numberParameter({
    minimum: 1,
    maximum: MOST_PAGES,
    default: 1,
    description: 'One of its pages; the header field X-Pages says how many there are. Without page_size there is one.',
  }),
  page_size: numberParameter({
    minimum: 1,
    maximum: MOST_ENTRIES,
    description: 'Lines of a page, for readers that take several short lists in place of a long one.',
  }),
};

const listParameters = {
  types: wordsParameter(observableTypes, {
    description: 'A type, or several with commas between. Without it, all that the format can hold.',
  }),
  min_confidence: numberParameter({
    minimum: 0,
    maximum: 100,
    description: 'Indicators below it are not in the list, nor those without a confidence.',
  }),
  max_entries: numberParameter({
    minimum: 1,
    maximum: MOST_ENTRIES,
    description: 'Most lines. The first in their order stay; the header field X-Left-Out says how many did not.',
  }),
  order: wordParameter(['strongest', 'newest'], {
    description: 'By confidence in steps of ten, newest first within each (the default); or newest first.',
  }),
  aggregate: whether('Networks become the fewest that hold the same addresses, no more and no fewer.'),
  min_prefix: numberParameter({
    minimum: 0,
    maximum: 32,
    description: 'IPv4 networks with a shorter prefix are left out.',
  }),
  min_prefix_v6: numberParameter({
    minimum: 0,
    maximum: 128,
    description: 'IPv6 networks with a shorter prefix are left out.',
  }),
};

export const querySchema = Type.Object(unitedParameters({ ...pageParameters, ...listParameters }, options.parameters), {
  additionalProperties: false,
});

/** A list with what the query says of it; one that the configuration defines takes pages only. */
export function readListQuery(
  named: ListDefinition | null,
  { collection, format }: { collection: string; format: string },
  query: Query,
): { list: ListDefinition; output: Output; page: number } {
  const known = named === null ? format : named.format;
  const output = new Map<string, Output>(Object.entries(outputs)).get(known);
  if (output === undefined) throw new GatewayError('not-found', 'There is no such list.');
  const page = numberOf('page', query, MOST_PAGES) ?? 1;
  const pageSize = numberOf('page_size', query, MOST_ENTRIES);
  if (pageSize !== null && output.lines?.isUndivided)
    throw badParameter('page_size', `left out: each page of ${output.name} would replace the one before`);
  if (named !== null) {
    const other = Object.keys(query).find((name) => !Object.hasOwn(pageParameters, name));
    if (other !== undefined) throw badParameter(other, 'left out: this list is as the configuration says');
    return { list: { ...named, pageSize: pageSize ?? named.pageSize }, output, page };
  }
  const list: ListDefinition = {
    collection,
    format: output.name,
    options: options.read(output, query),
    types: (query['types']?.split(',') as ObservableType[] | undefined) ?? null,
    minConfidence: numberOf('min_confidence', query, 100),
    minPrefix: { ipv4: numberOf('min_prefix', query, 32) ?? 0, ipv6: numberOf('min_prefix_v6', query, 128) ?? 0 },
    aggregate: query['aggregate'] === 'true',
    order: query['order'] === 'newest' ? 'newest' : 'strongest',
    maxEntries: numberOf('max_entries', query, MOST_ENTRIES),
    pageSize,
    emptyLine: null,
  };
  if (list.aggregate && output.lines === undefined)
    throw badParameter(
      'aggregate',
      `left out: ${output.name} says more of an indicator than a network of several could`,
    );
  return { list, output, page };
}

function numberOf(name: string, query: Query, most: number): number | null {
  const text = query[name];
  if (text === undefined) return null;
  const number = Number(text);
  if (number > most) throw badParameter(name, `a whole number up to ${most}`);
  return number;
}

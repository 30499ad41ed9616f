import type { ListDefinition } from '../model/definition.ts';
import type { ObservableType } from '../model/observable.ts';
import { parseListed } from '../normalise/listed.ts';
import { isRefusal } from '../normalise/parsed.ts';
import type { Output } from '../outputs/output.ts';
import type { ResolveContext } from './collections.ts';
import type { Config } from './config.ts';
import { findExtension, readExtension } from './extension.ts';
import { didYouMean, listWords, type SchemaNode } from './messages.ts';
import type { Step } from './problem.ts';
import type { ReadContext } from './read-value.ts';
import { listSchema, refusals } from './schema/list.ts';
import type { ListSection } from './schema.ts';
import type { ConfigEntry } from './yaml.ts';

/** A list as it was read. */
export interface ReadList {
  name: string;
  output: Output;
  options: object;
  section: Record<string, unknown> & ListSection;
  /** Reads `section` back into the file's words. */
  schema: SchemaNode;
}

/** Reads `lists.NAME`. Returns null when something is wrong with it, which is reported. */
export function readList(
  name: string,
  { node, keyAt }: ConfigEntry,
  outputs: Record<string, Output>,
  context: ReadContext,
): ReadList | null {
  const path = ['lists', name];
  if (node.kind !== 'map') {
    if (node.kind !== 'broken') context.report(keyAt, path, 'must be a mapping of keys to values');
    return null;
  }
  const format = node.entries.get('format')?.node;
  const output = findExtension(format, outputs);
  if (typeof output === 'string') {
    context.report(format?.at ?? keyAt, [...path, 'format'], output);
    return null;
  }
  const schemas = { common: listSchema, own: output.options, required: ['collection', 'format'] };
  const read = readExtension<ListSection>(schemas, node, path, context);
  return read === null ? null : { name, output, ...read };
}

/** Held against the collections there are, and against what each format can hold. */
export function resolveLists(
  lists: readonly ReadList[],
  collections: Config['collections'],
  context: ResolveContext,
): Config['lists'] {
  return lists.map(({ name, output, options, section }) => {
    const at = ['lists', name];
    const say = (key: string, message: string): void =>
      context.report(context.placeOf([...at, key]), [...at, key], message);
    const collection = collections.find(({ alias }) => alias === section.collection);
    if (collection?.contributed) say('collection', 'is contributed: list a collection of a pool that takes it in');
    if (collection === undefined && !isBroken(section.collection, context))
      say(
        'collection',
        `names no collection${didYouMean(
          section.collection,
          collections.map(({ alias }) => alias),
        )}`,
      );
    const held = output.needs?.(options).types ?? null;
    const strange = held === null ? [] : (section.types ?? []).filter((type) => !held.includes(type as ObservableType));
    if (strange.length > 0) say('types', `has ${listWords(strange)}, which ${output.name} cannot hold`);
    if (output.lines === undefined) {
      if (section.aggregate) say('aggregate', `is for formats with a line per value, which ${output.name} is not`);
      if (section.empty_line !== undefined)
        say('empty_line', `is for formats with a line per value, which ${output.name} is not`);
    }
    if (output.lines?.isUndivided && section.page_size !== undefined)
      say('page_size', `is not for ${output.name}: each page would replace the one before`);
    return {
      name,
      list: definitionOf(output, options, section),
      allowFrom: section.allow_from.flatMap((text, i) => networkOf(text, [...at, 'allow_from', i], context)),
      onRefused: refusals[String(section.on_refused) as keyof typeof refusals],
    };
  });
}

/** A collection that is there and was reported for something else. */
function isBroken(name: string, context: ResolveContext): boolean {
  return !context.isSound(['collections', name]);
}

function definitionOf({ name: format }: Output, options: object, section: ListSection): ListDefinition {
  return {
    collection: section.collection,
    format,
    options,
    types: section.types === undefined ? null : [...section.types],
    minConfidence: section.min_confidence ?? null,
    minPrefix: { ipv4: section.min_prefix, ipv6: section.min_prefix_v6 },
    aggregate: section.aggregate,
    order: section.order as ListDefinition['order'],
    maxEntries: section.max_entries ?? null,
    pageSize: section.page_size ?? null,
    emptyLine: section.empty_line ?? null,
  };
}

/** In canonical form; what is no address and no network is reported. */
function networkOf(text: string, path: readonly Step[], context: ResolveContext): string[] {
  const parsed = parseListed(text);
  if (!isRefusal(parsed) && ['ipv4', 'ipv6'].includes(parsed.observable.type)) return [parsed.observable.value];
  context.report(context.placeOf(path), path, 'must be an address or a network, such as 192.0.2.7 or 192.0.2.0/24');
  return [];
}

import Type from 'typebox';
import type { CollectionDefinition, DeliveredCollection } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import { isWithin, type Tlp } from '../model/tlp.ts';
import type { SinkKind } from '../sinks/sink.ts';
import type { ResolveContext } from './collections.ts';
import type { Config } from './config.ts';
import type { FeedKinds, ReadFeed } from './feeds.ts';
import { complaintsAbout, didYouMean, listWords, type SchemaNode } from './messages.ts';
import type { Mark } from './problem.ts';
import { type ReadContext, readValue } from './read-value.ts';
import { type ConfigFile, type SinkSection, sinkSchema } from './schema.ts';
import type { ConfigEntry } from './yaml.ts';

/** A sink as it was read. */
export interface ReadSink {
  name: string;
  kind: string;
  options: unknown;
  idle: 'disabled' | 'no-key' | null;
  section: Record<string, unknown> & SinkSection;
  /** Reads `section` back into the file's words. */
  schema: SchemaNode;
}

/** Reads `sinks.NAME`; null when what is wrong with it, already reported, leaves nothing to define. */
export function readSink(
  name: string,
  { node, keyAt }: ConfigEntry,
  kinds: Record<string, SinkKind>,
  outer: ReadContext,
): ReadSink | null {
  const path = ['sinks', name];
  let problems = 0;
  let missingKey: string | null = null;
  const context: ReadContext = {
    ...outer,
    report: (...problem) => {
      problems++;
      outer.report(...problem);
    },
    absent: (_at, _path, why) => {
      missingKey ??= why;
    },
  };
  if (node.kind !== 'map') {
    if (node.kind !== 'broken') context.report(keyAt, path, 'must be a mapping of keys to values');
    return null;
  }
  const type = node.entries.get('type');
  const word = type?.node.kind === 'scalar' ? type.node.value : null;
  const kind = typeof word === 'string' && Object.hasOwn(kinds, word) ? kinds[word] : undefined;
  if (kind === undefined) {
    const known = Object.keys(kinds);
    context.report(type?.node.at ?? keyAt, [...path, 'type'], `must be ${listWords(known)}${didYouMean(word, known)}`);
    return null;
  }
  const own = kind.options as SchemaNode;
  const schema = Type.Object(
    { ...sinkSchema.properties, ...(own.properties as Record<string, Type.TSchema>) },
    { additionalProperties: false },
  ) as SchemaNode;
  schema.required = [...(own.required ?? []), 'type', 'collections'];
  const section = readValue(schema, node, path, context) as ReadSink['section'];
  if (problems > 0) return null;
  const options = Object.fromEntries(Object.entries(section).filter(([key]) => key in (own.properties ?? {})));
  if (missingKey === null && !isSoundTogether(kind, options, path, keyAt, context)) return null;
  const idle = section.enabled ? (missingKey === null ? null : 'no-key') : 'disabled';
  if (idle === 'no-key') context.warn(keyAt, path, `is left out: ${missingKey as unknown as string} (it is optional)`);
  return { name, kind: kind.name, options, idle, section, schema };
}

/** Asks the kind, which may still refuse the options as a whole. */
function isSoundTogether(kind: SinkKind, options: unknown, path: string[], at: Mark, context: ReadContext): boolean {
  const complaints = complaintsAbout(kind.options as SchemaNode, options);
  for (const complaint of complaints) context.report(at, path, complaint);
  if (complaints.length > 0) return false;
  try {
    kind.check(options);
    return true;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    context.report(at, path, error.message);
    return false;
  }
}

type ThreatFeeds = (collection: CollectionDefinition) => DeliveredCollection['feed'];

/** Whose intelligence a collection is to whoever reads it in a sink: a pool of one feed is that feed, one of several has its own name. */
export function threatFeedsOf(file: ConfigFile, feeds: readonly ReadFeed[], { formats }: FeedKinds): ThreatFeeds {
  return ({ alias, description }) => {
    const name = file.collections?.[alias]?.pool ?? '';
    const pool = file.pools?.[name];
    const only =
      pool?.feeds.length === 1 ? feeds.find(({ definition }) => definition.name === pool.feeds[0]) : undefined;
    return {
      name: pool?.title ?? only?.definition.title ?? name,
      reference: pool?.reference ?? (only === undefined ? null : originOf(only, formats)),
      description: description ?? pool?.description ?? null,
    };
  };
}

/** Scheme and host that a feed is read from; null for a file, and while its key is missing. */
function originOf({ definition, options, idle }: ReadFeed, formats: FeedKinds['formats']): string | null {
  return idle === 'no-key' ? null : (formats[definition.format]?.account(options)?.origin ?? null);
}

/** Held against the collections there are. */
export function resolveSinks(
  sinks: readonly ReadSink[],
  collections: Config['collections'],
  threatFeedOf: ThreatFeeds,
  { report, placeOf }: ResolveContext,
): Pick<Config, 'sinks' | 'idleSinks'> {
  const known = collections.map(({ alias }) => alias);
  const resolved = sinks.map(({ name, kind, options, idle, section }) => {
    const own = section.collections.flatMap((alias, i) => {
      const path = ['sinks', name, 'collections', i];
      const collection = collections.find((other) => other.alias === alias);
      if (collection === undefined) report(placeOf(path), path, `names no collection${didYouMean(alias, known)}`);
      else if (!isWithin(collection.tlp, section.tlp as Tlp)) {
        report(placeOf(path), path, `may hold TLP:${collection.tlp.toUpperCase()}, above this sink's own tlp`);
      }
      return collection === undefined ? [] : { ...collection, feed: threatFeedOf(collection) };
    });
    return { name, kind, options, idle, collections: own, every: section.every };
  });
  return {
    sinks: resolved.flatMap(({ idle, ...sink }) => (idle === null ? [sink] : [])),
    idleSinks: resolved.flatMap(({ name, kind, options, idle }) =>
      idle === null ? [] : [{ name, kind, options, reason: idle }],
    ),
  };
}

import type { CollectionDefinition, DeliveredCollection } from '../model/definition.ts';
import { isWithin, type Tlp } from '../model/tlp.ts';
import type { SinkKind } from '../sinks/sink.ts';
import type { ResolveContext } from './collections.ts';
import type { Config } from './config.ts';
import {
  allowMissingKey,
  askExtension,
  findExtension,
  idleReasonOf,
  type MissingKey,
  readExtension,
} from './extension.ts';
import type { FeedKinds, ReadFeed } from './feeds.ts';
import { didYouMean, type SchemaNode } from './messages.ts';
import type { ReadContext } from './read-value.ts';
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

/** Reads `sinks.NAME`. Returns null when something is wrong with it that leaves nothing to define; it is reported. */
export function readSink(
  name: string,
  { node, keyAt }: ConfigEntry,
  kinds: Record<string, SinkKind>,
  outer: ReadContext,
): ReadSink | null {
  const path = ['sinks', name];
  const missing: MissingKey = { why: null };
  const context = allowMissingKey(outer, missing);
  if (node.kind !== 'map') {
    if (node.kind !== 'broken') context.report(keyAt, path, 'must be a mapping of keys to values');
    return null;
  }
  const type = node.entries.get('type')?.node;
  const kind = findExtension(type, kinds);
  if (typeof kind === 'string') {
    context.report(type?.at ?? keyAt, [...path, 'type'], kind);
    return null;
  }
  const schemas = { common: sinkSchema, own: kind.options, required: ['type', 'collections'] };
  const read = readExtension<SinkSection>(schemas, node, path, context);
  if (read === null) return null;
  const { section, options, schema } = read;
  const ask = (isComplete: boolean): true => {
    if (isComplete) kind.check(options);
    return true;
  };
  if (askExtension({ own: kind.options, options, missing, ask }, path, keyAt, context) === null) return null;
  const idle = idleReasonOf(section, missing, path, keyAt, context);
  return { name, kind: kind.name, options, idle, section, schema };
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
      else if (collection.contributed)
        report(placeOf(path), path, 'is contributed: deliver a collection of a pool that takes it in');
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

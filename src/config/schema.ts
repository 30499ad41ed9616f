import Type, { type Static } from 'typebox';
import { durationSchema } from '../model/duration.ts';
import type { feedSchema } from './schema/feed.ts';
import type { listSchema } from './schema/list.ts';
import { collectionSchema, poolSchema } from './schema/pool.ts';
import {
  cacheSchema,
  identitySchema,
  listenSchema,
  metricsSchema,
  publicUrlSchema,
  taxiiSchema,
} from './schema/server.ts';
import { closed, named, namePattern, proxySchema, reference, tlpSchema } from './schema/words.ts';

/**
 * The configuration file: every key, its default and what it means. Defaults stand as the file would word them. The keys
 * of one feed format are that format's own (src/feeds/) and stand beside the common ones.
 */

/** Keys of every sink, whatever its kind. */
export const sinkSchema = Type.Object(
  {
    type: reference('Where to: the kind of target; its own keys stand beside these.'),
    enabled: Type.Boolean({ default: true, description: 'false: nothing is delivered; the checkpoint stays.' }),
    collections: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      minItems: 1,
      uniqueItems: true,
      description: 'Collections that are delivered, each for itself.',
    }),
    tlp: tlpSchema('Ceiling: a collection above it is refused.', 'amber'),
    every: durationSchema({
      default: '5s',
      minimum: '1s',
      maximum: '1d',
      description: 'Time between two looks for news.',
    }),
  },
  closed,
);

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const nameKey = Type.String({ pattern: namePattern });

export const DEFAULT_DATA = './data';
export const DEFAULT_ENGINE = 'sqlite';

/** The store, feeds and sinks are read one by one, each by the common keys and those of its engine, format or kind. */
export const fileSchema = Type.Object(
  {
    listen: listenSchema,
    public_url: Type.Optional(publicUrlSchema),
    data: Type.String({
      default: DEFAULT_DATA,
      minLength: 1,
      maxLength: 4096,
      pattern: '^\\P{Cc}*$',
      description: 'Directory of the store, the control socket and the first key. Relative to this file.',
    }),
    store: Type.Optional(
      Type.Unsafe<unknown>({
        'x-later': true,
        'x-expects': 'the name of an engine, or `{ engine: NAME }` with its own keys beside it',
        default: DEFAULT_ENGINE,
        description: 'Storage engine.',
      }),
    ),
    identity: identitySchema,
    taxii: taxiiSchema,
    proxy: proxySchema(
      'How feeds are reached: off; environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY); or the address of a proxy.',
      'off',
    ),
    feeds: Type.Record(nameKey, Type.Unsafe<unknown>({ 'x-later': true }), {
      ...named,
      default: {},
      maxProperties: 1000,
    }),
    pools: Type.Record(nameKey, poolSchema, { ...named, default: {}, maxProperties: 100 }),
    collections: Type.Record(nameKey, collectionSchema, { ...named, default: {}, maxProperties: 1000 }),
    lists: Type.Record(nameKey, Type.Unsafe<unknown>({ 'x-later': true }), {
      ...named,
      default: {},
      maxProperties: 1000,
    }),
    cache: cacheSchema,
    metrics: metricsSchema,
    sinks: Type.Record(nameKey, Type.Unsafe<unknown>({ 'x-later': true }), {
      ...named,
      default: {},
      maxProperties: 100,
    }),
    log: Type.Object(
      {
        level: Type.Enum([...logLevels], {
          default: 'info',
          description: 'The mildest that is still written, as JSON lines.',
        }),
      },
      { ...closed, default: {} },
    ),
  },
  closed,
);

export type ConfigFile = Static<typeof fileSchema>;
export type FeedSection = Static<typeof feedSchema>;
export type ListSection = Static<typeof listSchema>;
export type SinkSection = Static<typeof sinkSchema>;
export type CollectionSection = Static<typeof collectionSchema>;

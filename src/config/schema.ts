import Type, { type Static } from 'typebox';
import { profiles } from '../model/definition.ts';
import { durationSchema } from '../model/duration.ts';
import { observableTypes } from '../model/observable.ts';
import { certificateSchema, privateKeySchema, secretSchema } from '../model/secret.ts';
import { tlpLevels } from '../model/tlp.ts';

/**
 * The configuration file: every key, its default and what it means. Defaults stand as the file would word them. The keys
 * of one feed format are that format's own (src/feeds/) and stand beside the common ones.
 */

const closed = { additionalProperties: false } as const;

/** Names become parts of addresses, ids and file names. */
const namePattern = '^[a-z0-9][a-z0-9_-]{0,63}$';
const nameWords = 'must be a name of a-z, 0-9, - and _, at most 64 characters';
const named = { 'x-keys': nameWords };

const line = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 256,
    pattern: '^\\P{Cc}*$',
    'x-expects': 'one line of 1 to 256 characters',
    description,
  });
const text = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });
const reference = (description: string) => Type.String({ minLength: 1, maxLength: 64, description });

const tlpSchema = (description: string, default_?: string) =>
  Type.Enum([...tlpLevels], { description, ...(default_ === undefined ? {} : { default: default_ }) });
const profileSchema = (description: string, default_?: string) =>
  Type.Enum([...profiles], { description, ...(default_ === undefined ? {} : { default: default_ }) });
const keepSchema = (default_?: string) =>
  durationSchema({
    minimum: '1m',
    maximum: '3650d',
    description: 'How long a withdrawal is told to those who come late.',
    ...(default_ === undefined ? {} : { default: default_ }),
  });
const typesSchema = Type.Array(Type.Enum([...observableTypes]), {
  minItems: 1,
  uniqueItems: true,
  description: 'Observable types; without it, all.',
});

const listenSchema = Type.Object(
  {
    host: Type.String({
      default: '127.0.0.1',
      pattern: '^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,16})?)$',
      'x-expects': 'a host name or an IP address, without port',
      description: 'Address to listen on. Beyond loopback it needs tls or behind_proxy.',
    }),
    port: Type.Integer({ default: 8080, minimum: 0, maximum: 65535, description: '0 takes any free port.' }),
    tls: Type.Optional(
      Type.Object(
        {
          cert: certificateSchema("The server's certificate, with those that vouch for it."),
          key: privateKeySchema('Its private key, without a passphrase.'),
          client_ca: Type.Optional(
            certificateSchema('Who vouches for the certificates that clients may sign in with. Without it, keys only.'),
          ),
        },
        { ...closed, description: 'TLS 1.2 and 1.3 here, without a proxy in front.' },
      ),
    ),
    behind_proxy: Type.Boolean({
      default: false,
      description:
        'A proxy in front ends TLS: the last entry of X-Forwarded-For is who calls. Else that header is ignored.',
    }),
    max_connections: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 100_000,
      description: 'Connections at a time; more are refused until one ends.',
    }),
  },
  { ...closed, default: {} },
);

const identitySchema = Type.Object(
  {
    name: Type.String({ ...line('The producing identity of everything that is issued here.'), default: 'Sluice' }),
    description: Type.Optional(text('What the identity says of itself.')),
    contact: Type.Optional(line('Whom to ask about what is served.')),
  },
  { ...closed, default: {} },
);

const apiRootSchema = Type.Object(
  {
    title: Type.String({ ...line('Title of the API root (TAXII 2.1 section 4.2).'), default: 'Threat intelligence' }),
    description: Type.Optional(text('Description of the API root.')),
  },
  closed,
);

const taxiiSchema = Type.Object(
  {
    title: Type.String({ ...line('Title of the server (TAXII 2.1 section 4.1).'), default: 'Sluice' }),
    description: Type.Optional(text('Description of the server.')),
    contact: Type.Optional(line('Contact of the server.')),
    api_roots: Type.Record(Type.String({ pattern: '^(?:/[A-Za-z0-9._~-]{1,64}){1,8}/$' }), apiRootSchema, {
      default: { '/api/taxii2/api/': {} },
      minProperties: 1,
      maxProperties: 16,
      'x-keys': 'must be a path that starts and ends with /, of letters, digits and ._~- between',
      description: 'Paths under which the collections stand.',
    }),
    page_size: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 5000,
      description: 'Objects in a page when a client names no limit.',
    }),
    max_page: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: 20000,
      description: 'Most objects in a page; a larger limit is cut to it.',
    }),
  },
  { ...closed, default: {} },
);

const metricsSchema = Type.Object(
  {
    clients: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      default: ['prometheus'],
      uniqueItems: true,
      maxItems: 100,
      description:
        'Clients that may read /metrics, which names all feeds, journals and clients. They are made like any other.',
    }),
    public: Type.Boolean({ default: false, description: 'true: anyone who reaches the port may read /metrics.' }),
  },
  { ...closed, default: {} },
);

const cacheSchema = Type.Object(
  {
    bytes: Type.Integer({
      default: 67_108_864,
      minimum: 1_048_576,
      maximum: 17_179_869_184,
      description:
        'Memory for pages kept ready to be sent, compressed where clients take it. 64 MiB hold about a million objects.',
    }),
  },
  { ...closed, default: {} },
);
const proxyWords = {
  'x-expects': 'off, environment, http(s)://HOST:PORT, or with a password {env: NAME} or {file: PATH}',
};
const proxySchema = (description: string, default_?: string) =>
  Type.Union(
    [
      Type.String({ maxLength: 2048, pattern: '^(?:off|environment|https?://[^/@?#\\s]+/?)$', ...proxyWords }),
      secretSchema('An address with a password in it.'),
    ],
    { description, ...proxyWords, ...(default_ === undefined ? {} : { default: default_ }) },
  );

/** Safety's usual ages: addresses change hands within a month, names and URLs within two, hashes never. */
const lifetimeDefault = { ipv4: '30d', ipv6: '30d', domain: '60d', url: '60d', default: '365d' };
const lifetimeBounds = { minimum: '1m', maximum: '3650d' } as const;
const typeLifetimes = [...observableTypes, 'default' as const].map((type) => [
  type,
  Type.Optional(durationSchema(lifetimeBounds)),
]);

/** Keys of every feed, whatever its format. */
export const feedSchema = Type.Object(
  {
    preset: Type.Optional(reference('A well-known feed; sets format and everything else that is not given here.')),
    format: Type.Optional(reference('How the feed is read; its own keys stand beside these.')),
    enabled: Type.Boolean({
      default: true,
      description: 'false: no more polls. What the feed said stays until it ages out; delete the feed to withdraw it.',
    }),
    title: Type.Optional(line('The source shown for rows that name none. Default: the format says.')),
    mode: Type.Optional(
      Type.Enum(['snapshot', 'delta'], {
        description:
          'snapshot: what a pull no longer holds is withdrawn. delta: a pull holds news only. Default: the format says.',
      }),
    ),
    every: Type.Optional(
      durationSchema({ minimum: '1s', maximum: '366d', description: 'Time between polls. Default: the format says.' }),
    ),
    confidence: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: 'For rows that say nothing themselves.' }),
    ),
    tlp: tlpSchema('For rows that say nothing themselves.', 'amber'),
    lifetime: Type.Union(
      [
        durationSchema(lifetimeBounds),
        Type.Object(Object.fromEntries(typeLifetimes) as Record<string, ReturnType<typeof durationSchema>>, closed),
      ],
      {
        default: lifetimeDefault,
        description:
          'How long a row counts after it was last seen or confirmed: one duration, or one per type over the defaults.',
      },
    ),
    shrink_guard: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Literal('off')], {
      default: 0.5,
      'x-expects': 'a share between 0 and 1, or off',
      description: 'A snapshot that would withdraw more than this share of the rows is held back and reported.',
    }),
    empty_allowed: Type.Optional(
      Type.Boolean({ description: 'Is a snapshot without a single row believable? Default: the format says.' }),
    ),
    internal: Type.Boolean({
      default: false,
      description: "The feed's own host may stand inside this network: private and loopback addresses.",
    }),
    proxy: Type.Optional(proxySchema('How this feed is reached. Default: as proxy at the top says.')),
    refresh_on_read: Type.Boolean({
      default: true,
      description: 'A reader who finds the feed overdue after failures brings its next try forward, within the budget.',
    }),
  },
  closed,
);

const poolSchema = Type.Object(
  {
    feeds: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      minItems: 1,
      uniqueItems: true,
      description: 'Whose rows merge into one indicator per observable. What a pool says comes from these alone.',
    }),
    profile: profileSchema('How STIX is issued: stix, or elastic-agent for the Elastic Agent integration.', 'stix'),
    tlp: tlpSchema('Ceiling: rows above it are left out before merging.', 'amber'),
    keep: keepSchema('30d'),
  },
  closed,
);

const collectionSchema = Type.Object(
  {
    pool: reference('The pool whose indicators these are.'),
    types: Type.Optional(typesSchema),
    title: Type.Optional(line('Default: the name.')),
    description: Type.Optional(text('Shown to readers.')),
    id: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
        'x-expects': 'a UUID of version 4 in lower case',
        description: 'Default: made from the name, so a new name is a new id.',
      }),
    ),
    strict: Type.Boolean({
      default: false,
      description: "Answer as the letter of TAXII 2.1 says where the field's clients need otherwise.",
    }),
    min_confidence: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: 'Indicators below it stay out.' }),
    ),
    sources: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, description: 'Least number of independent sources.' }),
    ),
    tlp: Type.Optional(tlpSchema("Ceiling. Default: the pool's.")),
    objects: Type.Optional(
      Type.Enum(['indicators', 'all'], { description: 'all: other STIX objects of the feeds pass as they came.' }),
    ),
    profile: Type.Optional(profileSchema("Default: the pool's.")),
    keep: Type.Optional(keepSchema()),
    keep_versions: Type.Optional(
      Type.Enum(['last', 'all'], { description: 'all: earlier versions of an object stay readable. Default: last.' }),
    ),
  },
  closed,
);

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

/** Keys that give a collection a journal, and so ids, of its own; one that sets none of them is a view on its pool. */
export const policyKeys = ['min_confidence', 'sources', 'tlp', 'objects', 'profile', 'keep', 'keep_versions'] as const;

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const nameKey = Type.String({ pattern: namePattern });

/** Feeds and sinks are read one by one, each by the common keys and those of its format or kind. */
export const fileSchema = Type.Object(
  {
    listen: listenSchema,
    data: Type.String({
      default: './data',
      minLength: 1,
      maxLength: 4096,
      pattern: '^\\P{Cc}*$',
      description: 'The embedded store. Relative to this file.',
    }),
    store: Type.String({ default: 'sqlite', minLength: 1, maxLength: 64, description: 'Storage engine.' }),
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
export type SinkSection = Static<typeof sinkSchema>;
export type CollectionSection = Static<typeof collectionSchema>;

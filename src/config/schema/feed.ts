import Type from 'typebox';
import { defaultReach, redistributions } from '../../model/definition.ts';
import { durationSchema } from '../../model/duration.ts';
import { observableTypes } from '../../model/observable.ts';
import { closed, entriesSchema, line, proxySchema, reference, tlpSchema, typesSchema } from './words.ts';

/** Safety's usual ages: addresses change hands within a month, names and URLs within two, hashes never. */
export const usualLifetime = { ipv4: '30d', ipv6: '30d', domain: '60d', url: '60d', default: '365d' };
const lifetimeBounds = { minimum: '1m', maximum: '3650d' } as const;
const typeLifetimes = [...observableTypes, 'default' as const].map((type) => [
  type,
  Type.Optional(durationSchema(lifetimeBounds)),
]);

const speedSchema = Type.Number({ minimum: 0.1, maximum: 100 });
const typeSpeeds = [...observableTypes, 'default' as const].map((type) => [type, Type.Optional(speedSchema)]);

const prefixSchema = (shortest: number, longest: number) =>
  Type.Integer({
    default: shortest,
    minimum: 1,
    maximum: longest,
    description: 'Shortest prefix of a network that is accepted.',
  });

const labelsSchema = (description: string) =>
  Type.Array(line('A label.'), { minItems: 1, maxItems: 256, uniqueItems: true, description });
const patternsSchema = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
    minItems: 1,
    maxItems: 64,
    uniqueItems: true,
    description: `${description} Regular expressions of RE2.`,
  });

/** Keys of every feed, whatever its format. */
export const feedSchema = Type.Object(
  {
    preset: Type.Optional(
      reference(
        'A well-known feed; sets format and everything else that is not given here. With a url or path of your own, what the preset says of the list at its own address is left out: fallback_urls, expect_rows, empty_allowed and shrink_guard; hosts too where the server is another one.',
      ),
    ),
    format: Type.Optional(reference('How the feed is read; its own keys stand beside these.')),
    enabled: Type.Boolean({
      default: true,
      description: 'false: no more polls. What the feed said stays until it ages out; delete the feed to withdraw it.',
    }),
    title: Type.Optional(
      line('The source shown for rows that name none. Default: the preset or the format says, else the name.'),
    ),
    republishes: Type.Optional(
      Type.Array(line('A name of a feed, its title or its preset, however it is spelt.'), {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description:
          "Whose rows this feed passes on without naming them. Where one of these says the same, in the same pool, this feed is no further publisher for a collection's `sources` and for confidence. Where none does, it counts.",
      }),
    ),
    mode: Type.Optional(
      Type.Enum(['snapshot', 'delta'], {
        description:
          'snapshot: what a pull no longer holds is withdrawn. delta: a pull holds news only. Default: the format says.',
      }),
    ),
    every: Type.Optional(
      durationSchema({ minimum: '1s', maximum: '366d', description: 'Time between polls. Default: the format says.' }),
    ),
    max_cache: durationSchema({
      default: '1d',
      maximum: '30d',
      description:
        "Cache-Control (max-age) or Expires of an answer puts off the next poll by so much at most after the last one; it never brings one forward. Of feeds that are read in one answer. 0s: it doesn't count.",
    }),
    override_minimum: Type.Optional(line('Why every may be shorter than the preset’s publisher asks for.')),
    fresh_within: Type.Optional(
      durationSchema({
        minimum: '1m',
        maximum: '3650d',
        description:
          'A list that has not changed for longer has stalled: status, /api/v1/feeds and /metrics say so, and nothing is withdrawn for it. Default: no promise, so never.',
      }),
    ),
    attribution: Type.Optional(
      line(
        'The credit that the publisher asks for. Every indicator that the feed stands behind carries it as an external reference, whatever the format. STIX objects that are passed on as they are stay as they are.',
      ),
    ),
    terms: Type.Optional(line('Its terms of use in one line, or where they stand. Shown in status and /api/v1/feeds.')),
    redistribution: Type.Enum([...redistributions], {
      default: 'unknown',
      description:
        'May its data be passed on outside of your organisation? no and non-commercial stand in the external reference of its indicators. It withholds nothing: whom you give data is said by tlp, collections and clients.',
    }),
    confidence: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: 'For rows that say nothing themselves.' }),
    ),
    trust: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      description:
        "How far the confidence of its rows counts: 0.5 makes 40 of 80 when sources are merged; each source is shown with what it said. 0: it is shown as a source and adds nothing, neither confidence nor one of a collection's `sources`.",
    }),
    tlp: tlpSchema('For rows that say nothing themselves.', 'amber'),
    lifetime: Type.Optional(
      Type.Union(
        [
          durationSchema(lifetimeBounds),
          Type.Object(Object.fromEntries(typeLifetimes) as Record<string, ReturnType<typeof durationSchema>>, closed),
        ],
        {
          description: `How long a row counts that has no end of its own: after its source last saw it or a snapshot last held it, and where neither is known after it came. One duration, or one per type over the defaults. Default: none for stix and taxii, where an object without valid_until has no end; ${JSON.stringify(usualLifetime)} for all others.`,
        },
      ),
    ),
    decay: Type.Optional(
      Type.Object(
        {
          model: Type.Enum(['misp'], {
            default: 'misp',
            description: "MISP's polynomial: score = confidence × (1 - (age / lifetime)^(1 / speed)).",
          }),
          speed: Type.Union(
            [speedSchema, Type.Object(Object.fromEntries(typeSpeeds) as Record<string, typeof speedSchema>, closed)],
            {
              description:
                "MISP's decay speed: 1 falls evenly over the lifetime, a higher one faster at the beginning. One number, or one per type; a type without one does not decay.",
            },
          ),
          threshold: Type.Integer({
            default: 0,
            minimum: 0,
            maximum: 100,
            description: 'Under this score the row counts no longer, in any collection.',
          }),
        },
        {
          ...closed,
          description:
            "How the confidence of a row decays with its age over `lifetime`, which it needs. The confidence that is served stays as it was said. When what all sources say together falls under a collection's `min_confidence`, the indicator leaves, and `valid_until` says so beforehand. A sighting, or a snapshot that holds the row, begins it anew. Default: it does not decay.",
        },
      ),
    ),
    outage_limit: durationSchema({
      default: '30d',
      description:
        "A lifetime that ends while the feed can't be read is held for so long after its last good poll; then it ends. What the source ended itself (valid_until, revoked) ends all the same.",
    }),
    shrink_guard: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Literal('off')], {
      default: 0.5,
      'x-expects': 'a share between 0 and 1, or off',
      description: 'A snapshot that would withdraw more than this share of the rows is held back and reported.',
    }),
    empty_allowed: Type.Optional(
      Type.Boolean({ description: 'Is a snapshot without a single row believable? Default: the format says.' }),
    ),
    filter: Type.Optional(
      Type.Object(
        {
          types: Type.Optional(typesSchema),
          labels: Type.Optional(labelsSchema('At least one of these labels, in any case.')),
          not_labels: Type.Optional(labelsSchema('None of these labels.')),
          min_confidence: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 100,
              description: "Of the row, else the feed's `confidence`; with neither it is 0.",
            }),
          ),
          values: Type.Optional(patternsSchema('One of these is found in the value, as it is served.')),
          not_values: Type.Optional(patternsSchema('None of these is.')),
        },
        {
          ...closed,
          description:
            'Which rows are kept; the others are counted as filtered. All that is given must hold. STIX objects that are passed on as they are, and rows that the feed takes back, are not filtered. What passed before leaves a snapshot with its next pull; in a delta it ages out.',
        },
      ),
    ),
    suppress: Type.Optional(
      entriesSchema(
        "What of this feed's rows never counts, whatever pool it is in: addresses, networks, domains, URLs, e-mail addresses and hashes, covering as in a pool's `suppress`. The rows are kept, and counted as suppressed.",
      ),
    ),
    admit: Type.Optional(
      entriesSchema(
        "What warning lists have no say on where this feed says it: `admit: [10.0.0.0/8]` for a feed about your own network. Other feeds' rows on it stay out. A pool's `suppress` comes first.",
      ),
    ),
    expect_rows: Type.Optional(
      Type.Object(
        {
          min: Type.Optional(Type.Integer({ minimum: 0, description: 'At least so many.' })),
          max: Type.Optional(Type.Integer({ minimum: 1, description: 'At most so many.' })),
        },
        {
          ...closed,
          description:
            'Rows that a pull is expected to bring. A snapshot of another size is held back and reported; a delta is taken, and the feed has a note.',
        },
      ),
    ),
    max_refused: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Literal('off')], {
      default: 0.9,
      'x-expects': 'a share between 0 and 1, or off',
      description:
        'A pull of 20 rows or more of which more than this share can not be used is held back and reported: it is another format or an error page.',
    }),
    min_prefix: Type.Object(
      {
        ipv4: prefixSchema(defaultReach.minPrefix.ipv4, 32),
        ipv6: prefixSchema(defaultReach.minPrefix.ipv6, 128),
      },
      { ...closed, default: {}, description: 'Networks with a shorter prefix hold too much to be indicators.' },
    ),
    reserved: Type.Enum(['reject', 'accept'], {
      default: 'reject',
      description:
        'Loopback, link-local, multicast, unspecified and reserved addresses, in URLs too. Private ones are always accepted.',
    }),
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

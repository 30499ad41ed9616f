import Type from 'typebox';
import { warningModes } from '../../model/definition.ts';
import { durationSchema } from '../../model/duration.ts';
import { defaultModes } from '../../suppress/warning-lists/modes.ts';
import {
  closed,
  entriesSchema,
  keepSchema,
  line,
  profileSchema,
  reference,
  text,
  tlpSchema,
  typesSchema,
} from './words.ts';

/** What merges with what, and who reads which part of it. */

const leastSources = Type.Integer({ minimum: 1, maximum: 100 });

const labelsSchema = (description: string) =>
  Type.Array(
    Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[^\\p{Cc}*]*\\*?$',
      'x-expects': 'a label of 1 to 256 characters, or the start of labels with a * behind it',
    }),
    { minItems: 1, maxItems: 256, uniqueItems: true, description },
  );

/** A mode per list, where `withDefaults` each has its own. */
const warningListsSchema = (description: string, withDefaults: boolean) =>
  Type.Union(
    [
      Type.Literal('off'),
      Type.Object(
        Object.fromEntries(
          Object.entries(defaultModes).map(([name, mode]) => {
            const schema = Type.Enum([...warningModes, 'off'], withDefaults ? { default: mode } : {});
            return [name, Type.Optional(schema)];
          }),
        ),
        closed,
      ),
    ],
    {
      'x-expects': 'off, or a map of list names to drop, tag, lower or off',
      description,
      ...(withDefaults ? { default: {} } : {}),
    },
  );

export const poolSchema = Type.Object(
  {
    feeds: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      minItems: 1,
      uniqueItems: true,
      description: 'Whose rows merge into one indicator per observable. What a pool says comes from these alone.',
    }),
    title: Type.Optional(
      line('Shown as the feed in ECS documents. Default: the title of its only feed, else its name.'),
    ),
    description: Type.Optional(text('Shown there as well, for collections without one of their own.')),
    reference: Type.Optional(
      Type.String({
        maxLength: 2048,
        pattern: '^https?://[^\\s]+$',
        'x-expects': 'an http(s) address',
        description: 'Where people read about it, shown there too. Default: where its only feed is read.',
      }),
    ),
    profile: profileSchema('How STIX is issued: stix, or elastic-agent for the Elastic Agent integration.', 'stix'),
    tlp: tlpSchema('Ceiling: rows above it are left out before merging.', 'amber'),
    keep: keepSchema('30d'),
    suppress: Type.Optional(
      entriesSchema(
        'Your own assets, and what you know to be good: addresses, networks, domains, URLs, e-mail addresses and file hashes, such as [10.0.0.0/8, 198.51.100.7, example.com]. Indicators on them are left out, whoever says them: an address that is listed or lies in a listed network; a network that lies in one (not one that holds other addresses as well); a domain that is listed, and all names below it; a URL whose host is such a domain or address; an e-mail address at such a domain; a hash that is listed. A changed list withdraws what is now suppressed and brings back what no longer is.',
      ),
    ),
    suppress_feeds: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description:
          'Feeds of what is known to be good. Their entries cover what entries of `suppress` cover, and keep it out; `admit` lifts them. They are polled as any feed is, and are not in `feeds` of the same pool.',
      }),
    ),
    admit: Type.Optional(
      entriesSchema(
        'What is served although a warning list or a suppress feed names it, written and covering as in `suppress`. Own assets stay out all the same.',
      ),
    ),
    warning_lists: warningListsSchema(
      'What each warning list does with indicators on it: drop, tag, lower or off; `off` alone: no list does anything. The lists and their defaults: docs/warning-lists.md.',
      true,
    ),
    expand_cidr: Type.Optional(
      Type.Integer({
        minimum: 22,
        maximum: 31,
        description:
          'Networks of this prefix length or longer are served as their addresses (24: up to 256 of each), with a label that names the network; IPv6 networks of as many addresses likewise (24: /120 and longer). For readers that match addresses only, such as Elastic. Default: networks are served as networks.',
      }),
    ),
  },
  closed,
);

export const collectionSchema = Type.Object(
  {
    pool: Type.Optional(
      reference('The pool whose indicators these are. Left out where the collection is contributed.'),
    ),
    contributed: Type.Optional(
      Type.Boolean({
        description:
          'true: no pool stands behind it; it holds the STIX objects that clients add (docs/contributing-indicators.md). Beside it stand title, description, id, strict, page_size, max_page, tlp (default: amber) and keep_versions (default: all).',
      }),
    ),
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
    page_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 50_000,
        description:
          "Objects in a page when a client names no limit. Large for clients that read one page. Default: taxii's.",
      }),
    ),
    max_page: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 50_000,
        description:
          "Most objects in a page; a larger limit is cut to it. Default: taxii's, or page_size where that is more.",
      }),
    ),
    min_confidence: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: 'Indicators below it stay out.' }),
    ),
    sources: Type.Optional(
      Type.Union(
        [
          leastSources,
          Type.Object(
            {
              least: leastSources,
              of: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
                minItems: 1,
                maxItems: 256,
                uniqueItems: true,
              }),
            },
            closed,
          ),
        ],
        {
          'x-expects': 'a whole number, 1 to 100, or { least: NUMBER, of: [FEED, ...] }',
          description:
            'Least number of independent publishers that say it, among all feeds of the pool or those named in `of`. Rows and feeds (by title, name or preset) that go by one name, however it is spelt, are one. With `of`, what other feeds say is served as well, and does not count here.',
        },
      ),
    ),
    labels: Type.Optional(
      Type.Object(
        {
          any: Type.Optional(labelsSchema('At least one of these.')),
          none: Type.Optional(labelsSchema('None of these.')),
        },
        {
          ...closed,
          minProperties: 1,
          description:
            'Labels of the merged indicator, so those of all its sources, in any case. A `*` at the end stands for whatever follows: `malware:*`.',
        },
      ),
    ),
    max_age: Type.Optional(
      durationSchema({
        minimum: '1m',
        maximum: '3650d',
        description:
          "What a source last saw, or a snapshot last held, longer ago does not count; where neither is known, it counts from when it came. It ends sooner where the source or the feed's `lifetime` says so. Held in an outage as a lifetime is.",
      }),
    ),
    suppress: Type.Optional(entriesSchema("Besides the pool's `suppress`.")),
    admit: Type.Optional(entriesSchema("Besides the pool's `admit`.")),
    warning_lists: Type.Optional(warningListsSchema('Lists that do something else here than in the pool.', false)),
    tlp: Type.Optional(tlpSchema("Ceiling. Default: the pool's.")),
    tlp_version: Type.Optional(
      Type.Enum([1, 2], {
        description:
          'TLP markings that objects refer to. 1 is for readers that know only those, such as XSOAR and older OpenCTI; amber+strict is red there. Both are read. Default: 2.',
      }),
    ),
    objects: Type.Optional(
      Type.Enum(['indicators', 'all'], {
        description: 'all: other STIX objects of the feeds pass as they came; relations point at served ids.',
      }),
    ),
    profile: Type.Optional(profileSchema("Default: the pool's.")),
    keep: Type.Optional(keepSchema()),
    keep_versions: Type.Optional(
      Type.Enum(['last', 'all'], { description: 'all: earlier versions of an object stay readable. Default: last.' }),
    ),
  },
  closed,
);

/** Keys that give a collection a journal, and so ids, of its own; one that sets none of them is a view on its pool. */
export const policyKeys = [
  'min_confidence',
  'sources',
  'labels',
  'max_age',
  'suppress',
  'admit',
  'warning_lists',
  'tlp',
  'tlp_version',
  'objects',
  'profile',
  'keep',
  'keep_versions',
] as const;

import Type from 'typebox';
import { closed, line, reference, typesSchema } from './words.ts';

/** A collection in the form that another tool reads. The keys of a format stand beside these. */

/** What a caller who may not read a list is answered, by the status in the configuration. */
export const refusals = {
  '401': 'unauthenticated',
  '403': 'forbidden',
  '404': 'not-found',
  '503': 'unavailable',
} as const;

export const listSchema = Type.Object(
  {
    collection: reference('The collection whose indicators it holds.'),
    format: reference('In which form: its own keys stand beside these.'),
    types: Type.Optional({ ...typesSchema, description: 'Observable types. Default: all that the format can hold.' }),
    min_confidence: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        description: 'Indicators below it are not in the list, nor those without a confidence.',
      }),
    ),
    max_entries: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000_000,
        description:
          'Most lines, over all pages: what the reader can take. The first in their order stay; a header field and a comment say how many did not.',
      }),
    ),
    order: Type.Enum(['strongest', 'newest'], {
      default: 'strongest',
      description: 'strongest: by confidence in steps of ten, the newest first within each; newest: the newest first.',
    }),
    aggregate: Type.Boolean({
      default: false,
      description: 'true: networks become the fewest that hold the same addresses, no more and no fewer.',
    }),
    min_prefix: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 32,
      description: 'IPv4 networks with a shorter prefix are left out.',
    }),
    min_prefix_v6: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 128,
      description: 'IPv6 networks with a shorter prefix are left out.',
    }),
    page_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000_000,
        description: 'Lines of a page, for readers that take several short lists: `?page=2` is the second.',
      }),
    ),
    empty_line: Type.Optional(
      line('The line of a list that holds nothing, for readers that refuse an empty file, such as 192.0.2.255.'),
    ),
    allow_from: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      default: [],
      maxItems: 1000,
      description:
        'Addresses and networks that read this list without a key, for firewalls that bring none. Behind a proxy it needs listen.behind_proxy: else the proxy is who calls.',
    }),
    on_refused: Type.Enum(Object.keys(refusals).map(Number), {
      default: 401,
      description:
        'The status for who may not read it, or brings a wrong key. 401 asks for a key. PAN-OS stops enforcing a list on 401 and keeps the last one on 503.',
    }),
  },
  closed,
);

import Type, { type Static } from 'typebox';
import { isJsonObject, type Json } from '../model/json.ts';
import { rowText } from '../stix/validate.ts';
import type { FeedFormat } from './feed.ts';
import { type Found, inBatches } from './reading/batches.ts';

const optionsSchema = Type.Object(
  {
    collection: Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'A collection with `contributed: true`. It is read a second after it changed.',
    }),
    shrink_guard: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Literal('off')], {
      default: 'off',
      'x-expects': 'a share between 0 and 1, or off',
      description: 'As for every feed; off unless given, because who removes an object means it.',
    }),
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

const MINUTE = 60_000;

/** What clients add to a contributed collection: the last version of each of its objects, as STIX. What they removed has vanished. */
export const collection: FeedFormat<Options> = {
  name: 'collection',
  title: 'STIX that clients add to a contributed collection of this gateway',
  options: optionsSchema,
  defaults: () => ({ mode: 'snapshot', every: MINUTE, emptyAllowed: true, lifetime: {} }),
  account: () => null,
  contributedBy: (options) => options.collection,
  async *read({ options, contributed, signal }) {
    const slices = await contributed(options.collection);
    if (slices === null) return;
    for await (const batch of inBatches(found(slices))) {
      signal.throwIfAborted();
      yield batch;
    }
  },
};

async function* found(slices: AsyncIterable<readonly { object: Json; bytes: number }[]>): AsyncGenerator<Found[]> {
  for await (const slice of slices) yield slice.map(foundIn);
}

function foundIn({ object, bytes }: { object: Json; bytes: number }): Found {
  if (isJsonObject(object)) return { item: { stix: object }, bytes };
  const detail = 'among the STIX objects stands something that is none';
  return { rejection: { reason: 'not-an-object', detail, row: rowText(object) }, bytes };
}

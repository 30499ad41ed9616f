import Type, { type Static } from 'typebox';
import { GatewayError } from '../model/error.ts';
import type { FeedBatch, FeedContext, FeedFormat } from './feed.ts';
import { fieldOptions } from './fields.ts';
import { type Plan, planOf, readItems } from './json/document.ts';
import { type Start, sinceSchema, startFrom } from './json/since.ts';
import type { Found } from './reading/batches.ts';
import type { ByteStream } from './reading/stream.ts';
import { checkPaging, pagingSchema, readPages, type Seen } from './source/paging.ts';
import { placeholdersIn } from './source/placeholders.ts';
import { checkSource, readSource, sourceAccount, sourceDefaults, sourceOptions } from './source.ts';

const ACCEPT = 'application/json, application/x-ndjson, */*;q=0.1';

const path = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }));
const word = Type.Union([Type.String({ maxLength: 256 }), Type.Number(), Type.Boolean()]);
const condition = (description: string) =>
  Type.Optional(
    Type.Record(
      Type.String({ minLength: 1, maxLength: 512 }),
      Type.Union([word, Type.Array(word, { minItems: 1, maxItems: 64 })]),
      { maxProperties: 16, description },
    ),
  );

const optionsSchema = Type.Object(
  {
    ...sourceOptions,
    items: path(
      'Where the items stand: a path of RFC 9535. Default: $[*]. $[*], $.*[*] and names that lead to a list, such as $.data.items[*], are read as they come, at any size; for any other path a document may have 16 MB.',
    ),
    lines: Type.Optional(Type.Boolean({ description: 'true: a document holds an item a line (JSON lines).' })),
    rows: path(
      'The list in each item whose members are the rows. Fields are then read in the row, and with ^. before them in the item around it.',
    ),
    ...fieldOptions,
    skip: condition(
      'Items that are no rows, such as metadata: values by the field that holds them. * means anything that says something.',
    ),
    expect_count: path(
      'The field of the document, or of a skipped item, that says how many items there are. Where it is absent or differs, the list is refused.',
    ),
    fail_where: condition('The answer is an error where the document holds these values, whatever its status.'),
    empty_where: condition('The document has no items, and that is no error, where it holds these values.'),
    since: Type.Optional(sinceSchema),
    paging: Type.Optional(pagingSchema),
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

/** JSON of any shape: fields are named by paths. */
export const json: FeedFormat<Options> = {
  name: 'json',
  title: 'JSON or JSON lines, from an address, a file or a watched directory; in pages, plain, gzip, zip or tar',
  options: optionsSchema,
  defaults(options) {
    checkOptions(options);
    const usual = sourceDefaults(options);
    // What is asked for since a time may be nothing.
    return options.since === undefined ? usual : { ...usual, mode: 'delta', emptyAllowed: true };
  },
  account: sourceAccount,
  async *read(feed) {
    const { since } = feed.options;
    const start = since === undefined ? null : startFrom(feed.cursor, feed.now(), since, queryOf(feed.options));
    for await (const batch of readRows(feed, planOf(feed.options), start)) {
      if (!batch.last || start === null) yield batch;
      else yield { ...batch, cursor: start.cursor, gap: start.gap, note: batch.note ?? start.note };
    }
  },
};

function checkOptions(options: Options): void {
  const { items, lines, since, paging, expect_count, url, headers, body } = options;
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  checkSource(options);
  planOf(options);
  if (lines === true && items !== undefined) refuse('items goes without lines: each line is an item');
  if (
    lines === true &&
    paging !== undefined &&
    paging.mode !== 'offset' &&
    paging.mode !== 'page' &&
    paging.next !== undefined
  ) {
    refuse('lines have nothing around them that paging.next could be read in');
  }
  if (paging !== undefined) {
    checkPaging(paging, options);
    if (expect_count !== undefined) refuse('expect_count is for a list of one page; paging.total is for more');
  }
  const hasSince = placeholdersIn(JSON.stringify([url, headers, body])).includes('since');
  if (since !== undefined && !hasSince) refuse('since is set, and neither url nor headers nor body hold {since}');
  if (since === undefined && hasSince) refuse('{since} is used: set since');
}

/** Identifies what is asked, without its time and its secrets. */
function queryOf({ url, headers, body, items }: Options): unknown {
  return [url, headers, body, items];
}

async function* readRows(feed: FeedContext<Options>, plan: Plan, start: Start | null): AsyncGenerator<FeedBatch> {
  const { paging } = feed.options;
  // What is asked since a time is another question each time, so that there is nothing to compare an answer with.
  const asked = start === null ? {} : { variables: { since: start.text }, conditional: false };
  if (paging === undefined) {
    yield* readSource(feed, ACCEPT, (document) => readItems(document, plan), asked);
    return;
  }
  const readPage = (document: ByteStream): AsyncGenerator<Found[], Seen> => readItems(document, plan);
  yield* readPages(feed, { accept: ACCEPT, ...asked }, paging, readPage);
}

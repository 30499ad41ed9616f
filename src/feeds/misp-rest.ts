import Type, { type Static } from 'typebox';
import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros, type Millis } from '../model/clock.ts';
import { durationSchema } from '../model/duration.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject } from '../model/json.ts';
import { secretSchema } from '../model/secret.ts';
import { BATCH_ROWS, type FeedBatch, type FeedContext, type FeedFormat } from './feed.ts';
import { checkKey } from './key.ts';
import { LeftOut } from './misp/left-out.ts';
import { limitsOf, markedOption, onlyDelta, serverAddress } from './misp/options.ts';
import { type AttributePage, readAttributes, readPage } from './misp/page.ts';

const optionsSchema = Type.Object(
  {
    url: serverAddress('The MISP, as people open it.'),
    key: secretSchema('The automation key. A user who may only read is enough.'),
    to_ids: markedOption,
    published: Type.Boolean({ default: true, description: 'Only attributes of events that are published.' }),
    enforce_warninglist: Type.Boolean({
      default: false,
      description: 'MISP leaves out what one of its warning lists holds.',
    }),
    tags: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
        minItems: 1,
        maxItems: 64,
        description: 'Only attributes with one of these tags; with ! before a tag, those without it.',
      }),
    ),
    types: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Za-z0-9|_-]{1,64}$', 'x-expects': 'a type of MISP' }), {
        minItems: 1,
        maxItems: 64,
        description: 'Only attributes of these types of MISP, such as ip-dst.',
      }),
    ),
    lookback: Type.Optional(
      durationSchema({
        minimum: '1h',
        maximum: '3650d',
        description: 'How far back the first pull asks. Default: to the beginning.',
      }),
    ),
    overlap: durationSchema({
      default: '1h',
      minimum: '1m',
      maximum: '30d',
      description:
        'Each pull begins so long before the last one did: events that come from other servers are dated there.',
    }),
    page_size: Type.Integer({ default: 1000, minimum: 10, maximum: 10_000, description: 'Attributes a request.' }),
    per_minute: Type.Integer({ default: 60, minimum: 1, description: 'Requests a minute.' }),
    mode: onlyDelta,
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

const EVERY: Millis = 15 * 60_000;
/** Pages of one pull. */
const MOST_PAGES = 20_000;

/**
 * MISP's search of attributes: what was published, or changed, since the last pull. An attribute is one upstream object in versions
 * (feed.ts, `FeedRow.version`): a changed value takes back the one before, and one that was deleted or is no longer marked for
 * detection ends. MISP does not tell of events that were deleted or unpublished: what they said ages out.
 */
export const mispRest: FeedFormat<Options> = {
  name: 'misp-rest',
  title: 'MISP server: the search of attributes, with an automation key',
  options: optionsSchema,
  defaults: () => ({ mode: 'delta', every: EVERY, emptyAllowed: true }),
  account({ url, key, per_minute: requests }) {
    checkKey({ key });
    return { origin: new URL(url).origin, key, limits: limitsOf(requests) };
  },
  async *read(feed) {
    const start = startOf(feed);
    const leftOut = new LeftOut();
    let { began } = start;
    let before: AttributePage | null = null;
    for (let page = start.page; ; page += 1) {
      if (page - start.page >= MOST_PAGES) throw tooLong(`has more than ${MOST_PAGES} pages`);
      const asked = feed.now();
      const found = await ask(feed, start, page);
      // The earliest of both clocks: the next pull repeats attributes rather than misses one.
      began ??= Math.min(found.at ?? asked, asked);
      // There is no total, and a server may give fewer than it is asked for: only an empty page is the end.
      if (found.attributes.length === 0) break;
      if (before !== null && found.fingerprint === before.fingerprint) {
        if (before.attributes.length > feed.options.page_size) break;
        throw new GatewayError('upstream-malformed', `${hostOf(feed)} answers page ${page} as it did the page before.`);
      }
      yield* batchesOf(found, start.since !== null, feed, leftOut);
      // A pull that is cut off goes on with this page, not the next: rows may have moved back.
      yield { items: [], rejected: [], cursor: bookmark(feed, { ...start, began, page }), last: false };
      before = found;
    }
    const since = (began ?? feed.now()) - feed.options.overlap * MICROS_PER_MS;
    const cursor = bookmark(feed, { since: Math.max(since, start.since ?? 0), page: 1, began: null });
    yield { items: [], rejected: leftOut.notes('attributes'), cursor, last: true };
  },
};

/** Where a pull stands. */
interface Position {
  /** Null: everything is asked for. */
  since: Micros | null;
  page: number;
  /** When the pull began that this goes on with. */
  began: Micros | null;
}

function startOf(feed: FeedContext<Options>): Position {
  const { lookback } = feed.options;
  const since = lookback === undefined ? null : feed.now() - lookback * MICROS_PER_MS;
  const stored = storedPosition(feed);
  // A date ahead of our clock is a clock's mistake: nothing new would come behind it.
  if (stored === null || (stored.since ?? 0) > feed.now()) return { since, page: 1, began: null };
  return stored;
}

function storedPosition({ cursor, options }: FeedContext<Options>): Position | null {
  if (cursor === null) return null;
  try {
    const stored: unknown = JSON.parse(cursor);
    if (!isJsonObject(stored) || stored['of'] !== queryOf(options)) return null;
    const { since = null, page = 1, began = null } = stored;
    const isTime = (value: unknown): value is Micros | null => value === null || Number.isSafeInteger(value);
    if (!isTime(since) || !isTime(began) || typeof page !== 'number' || !(page >= 1)) return null;
    return { since, page, began };
  } catch {
    return null;
  }
}

function bookmark({ options }: FeedContext<Options>, position: Position): string {
  return JSON.stringify({ ...position, of: queryOf(options) });
}

/** Identifies the query without its time: a cursor is only valid for the same query. */
function queryOf({
  url,
  to_ids,
  published,
  enforce_warninglist: warned,
  tags,
  types,
  page_size: size,
}: Options): string {
  return JSON.stringify([new URL(url).href, to_ids, published, warned, tags ?? null, types ?? null, size]);
}

async function ask(
  { options, fetch }: FeedContext<Options>,
  { since }: Position,
  page: number,
): Promise<AttributePage> {
  const url = new URL(options.url);
  url.pathname = url.pathname.replace(/\/*$/, '/attributes/restSearch');
  const { published, tags, types } = options;
  const seconds = since === null ? null : Math.floor(since / MICROS_PER_SECOND);
  const query = {
    returnFormat: 'json',
    page,
    limit: options.page_size,
    includeEventTags: 1,
    includeEventUuid: 1,
    includeContext: 1,
    enforceWarninglist: options.enforce_warninglist ? 1 : 0,
    ...(published ? { published: 1 } : {}),
    ...(tags === undefined ? {} : { tags }),
    ...(types === undefined ? {} : { type: types }),
    // What was written long ago may be published only now.
    ...(seconds === null ? {} : { [published ? 'publish_timestamp' : 'timestamp']: seconds }),
    // The first pull needs what counts; later ones also what counts no more.
    ...(since !== null ? { deleted: [0, 1] } : options.to_ids === 'only' ? { to_ids: 1 } : {}),
  };
  const response = await fetch({
    url,
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    authorization: { header: 'authorization', scheme: null, key: options.key },
    body: JSON.stringify(query),
    explain: (status) => explain(status, url.host),
  });
  if (response === null) throw new GatewayError('upstream-malformed', `${url.host} answered 304 without being asked.`);
  return readPage(response, url.host);
}

function explain(status: number, host: string): GatewayError | null {
  if (status === 401 || status === 403) {
    const message = `${host} does not accept the key: is it an automation key of a user with access to the API?`;
    return new GatewayError('upstream-unauthorized', message);
  }
  if (status === 404) {
    return new GatewayError('upstream-failed', `${host} has no /attributes/restSearch here: is url the MISP itself?`);
  }
  return null;
}

/** Rows of one attribute, at most two, must come in one batch. */
const ATTRIBUTES_AT_ONCE = BATCH_ROWS / 2;

function* batchesOf(
  { attributes }: AttributePage,
  isLater: boolean,
  { options, signal }: FeedContext<Options>,
  leftOut: LeftOut,
): Generator<FeedBatch> {
  for (let at = 0; at < attributes.length; at += ATTRIBUTES_AT_ONCE) {
    signal.throwIfAborted();
    const read = readAttributes(attributes.slice(at, at + ATTRIBUTES_AT_ONCE), options.url, options.to_ids, leftOut);
    yield { ...read, ended: isLater ? read.ended : [], cursor: null, last: false };
  }
  signal.throwIfAborted();
}

function hostOf({ options }: FeedContext<Options>): string {
  return new URL(options.url).host;
}

function tooLong(why: string): GatewayError {
  return new GatewayError('upstream-too-large', `The search ${why}.`);
}

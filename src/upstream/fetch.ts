import { hash } from 'node:crypto';
import type { FeedRequest, FeedResponse } from '../feeds/feed.ts';
import type { Micros, Millis } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { hasTooManyValues, MAX_JSON_VALUES } from '../model/json.ts';
import { responseDate } from '../model/response-date.ts';
import type { Secret } from '../model/secret.ts';
import { type Flights, shareFlight } from '../model/single-flight.ts';
import { MAX_WAIT_MS, saveOutcome } from './admission.ts';
import { type BufferedBody, bufferBody, readStart, readText } from './buffered-body.ts';
import { freshUntil } from './cache-lifetime.ts';
import { type CookieJar, createCookieJar } from './cookies.ts';
import { type BodyCaps, bodyCaps, decodeBody } from './decode-body.ts';
import { answerError, networkError, Retryable, withNetworkErrors } from './failure.ts';
import { redact, withoutSecrets } from './redact.ts';
import { siteOf } from './redirect.ts';
import { type Answer, headersOf, pastDate, type SendParts, sendRequest, type Validators } from './send.ts';

export interface FetchParts extends SendParts {
  caps?: Partial<BodyCaps>;
  /** Requests under way, of all feeds that may share them. */
  flights?: Flights<FetchedAnswer>;
}

/** Its text is parsed once `ready` resolves: parsing may take much memory, and waiting for the bytes takes none yet. */
export interface Fetched extends FeedResponse {
  json(ready?: () => Promise<void>): Promise<unknown>;
}

export interface FeedFetcher {
  /** Null: upstream has nothing new (FeedFetch). */
  fetch(request: FeedRequest): Promise<Fetched | null>;
  /** Requests sent, with retries and redirects, without those that another feed's request answered. */
  requests(): number;
  /** Bytes of answers that were read so far. */
  bytes(): number;
  /** What no text may hold that people see: the account's, and all keys that were sent. */
  secrets(): Iterable<Secret>;
  /** Upstream answered 304, or sent the same body as the last whole pull. */
  isUnchanged(): boolean;
  /** Known once the body was read to its end; nulls for a pull of several requests. */
  validators(): Validators;
  /** Until when the answer stays as it is by its own word; null for a pull of several requests. */
  freshUntil(): Micros | null;
}

/** A successful answer, before it is handed to one or several readers. */
export interface FetchedAnswer {
  status: number;
  headers: Record<string, string>;
  host: string;
  /** Null: 304. */
  buffered: BufferedBody | null;
}

const NO_VALIDATORS: Validators = { etag: null, lastModified: null, bodyHash: null };
const MAX_ATTEMPTS = 3;
const FIRST_BACKOFF: Millis = 1000;
const MAX_ERROR_BODY_BYTES = 4096;

/** The HTTP client of one poll of one feed: budgeted, conditional, capped and shared. No error of it holds a key. */
export function createFetcher(parts: FetchParts): FeedFetcher {
  const caps = { ...bodyCaps, ...parts.caps };
  const flights: Flights<FetchedAnswer> = parts.flights ?? new Map();
  const cookies = createCookieJar(parts.clock);
  const secrets = new Map<string, Secret>();
  const remember = (secret: Secret | null | undefined): void => {
    if (secret) secrets.set(secret.reveal(), secret);
  };
  [parts.account.key, ...(parts.account.secrets ?? [])].forEach(remember);
  let requests = 0;
  let bytes = 0;
  let isUnchanged = false;
  let keptUntil: Micros | null = null;
  let conditional: { etag: string | null; lastModified: string | null; buffered: BufferedBody } | null = null;

  /** One attempt, with the redirects it leads to. */
  const attempt = async (request: FeedRequest): Promise<FetchedAnswer> => {
    let isAnswered = false;
    const spending = spendingOf(request, parts);
    try {
      const answer = await sendRequest(request, spending, cookies, () => {
        requests += 1;
      });
      isAnswered = true;
      const fetched = await receive(request, answer, caps, parts);
      await saveOutcome('success', spending);
      return fetched;
    } catch (thrown) {
      parts.signal.throwIfAborted();
      const isOutage = thrown instanceof Retryable ? thrown.isOutage : !(thrown instanceof GatewayError);
      if (isOutage || isAnswered) await saveOutcome(isOutage ? 'failure' : 'success', spending);
      throw thrown;
    }
  };

  const fetchWithRetries = async (request: FeedRequest): Promise<FetchedAnswer> => {
    let before: GatewayError | null = null;
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await attempt(request);
      } catch (thrown) {
        parts.signal.throwIfAborted();
        const isFinal = thrown instanceof GatewayError;
        const error = withoutSecrets(
          thrown instanceof Retryable ? thrown.error : networkError(thrown, request.url.host),
          secrets.values(),
        );
        const { retryAfter } = error;
        // The budget or the circuit breaker allows no further attempt now: the failure before says more than that.
        if (before !== null && isFinal && retryAfter !== undefined) {
          throw new GatewayError(before.code, before.message, { retryAfter });
        }
        before = error;
        const wait: Millis = (retryAfter ?? 0) * 1000;
        if (isFinal || attempts >= MAX_ATTEMPTS || wait > MAX_WAIT_MS) throw error;
        // The budget waits for as long as upstream asked. Jitter keeps many gateways from retrying at the same time.
        if (wait === 0) {
          await parts.clock.sleep(FIRST_BACKOFF * 2 ** attempts * (0.5 + Math.random() / 2), parts.signal);
        }
      }
    }
  };

  return {
    requests: () => requests,
    bytes: () => bytes,
    secrets: () => secrets.values(),
    isUnchanged: () => isUnchanged,
    validators: () => {
      if (conditional === null) return NO_VALIDATORS;
      const { etag, lastModified, buffered } = conditional;
      const bodyHash = buffered.hash();
      return bodyHash === null ? NO_VALIDATORS : { etag, lastModified, bodyHash };
    },
    freshUntil: () => keptUntil,
    async fetch(request) {
      remember(request.authorization?.key);
      // Two feeds on one account often ask for the same at the same moment, as two pools on one list do after every start. An answer that
      // is larger than what is buffered can't be handed out twice; then each sends its own request.
      const flight = await shareFlight(flights, flightKey(request, cookies, parts), () => fetchWithRetries(request));
      const answer = flight.isShared ? copyOf(flight.value) : flight.value;
      const { status, headers, host, buffered } = answer ?? (await fetchWithRetries(request));
      if (request.conditional) keptUntil = freshUntil(headers, parts.clock.now());
      const isSameBody = buffered !== null && buffered.hash() !== null && buffered.hash() === parts.validators.bodyHash;
      if (buffered === null || (request.conditional && isSameBody)) {
        isUnchanged = true;
        return null;
      }
      if (request.conditional) {
        const at = responseDate(headers['date'], parts.clock.now());
        const lastModified = pastDate(headers['last-modified'] ?? null, at);
        conditional = { etag: headers['etag'] ?? null, lastModified, buffered };
      }
      const body = countBytes(withNetworkErrors(buffered.body, host, parts.signal), (size) => {
        bytes += size;
      });
      return {
        status,
        headers,
        body,
        async json(ready) {
          const text = await readText(body, caps.maxJsonBytes, host);
          await ready?.();
          return parseJson(text, secrets.values(), host);
        },
      };
    },
  };
}

/**
 * A request to another site, as for a copy of the list or a token, spends from that site's own account: the feed's upstream doesn't
 * count it, and while the one is down the other may be asked.
 */
function spendingOf({ url }: FeedRequest, parts: FetchParts): FetchParts {
  const own = new URL(parts.account.origin);
  if (siteOf(own) === siteOf(url) && own.port === url.port) return parts;
  return { ...parts, accountName: url.origin, account: { ...parts.account, origin: url.origin } };
}

/** Requests are equal when all that is sent, and how, is equal. It is a hash because the API key is part of it. */
function flightKey(request: FeedRequest, cookies: CookieJar, parts: FetchParts): string {
  const { url, method = 'GET', body = null, conditional = false } = request;
  const headers = Object.entries(headersOf(request, false, parts)).sort();
  const { accountName, dispatchers } = parts;
  const all = [accountName, dispatchers.key, method, url.href, headers, cookies.headerFor(url), body, conditional];
  return hash('sha256', JSON.stringify(all), 'hex');
}

/** The same answer for another reader; null when its body is larger than the buffer. */
function copyOf(answer: FetchedAnswer): FetchedAnswer | null {
  if (answer.buffered === null) return answer;
  const buffered = answer.buffered.copy();
  return buffered === null ? null : { ...answer, buffered };
}

/** Buffers the start of the body. Throws for an answer that is no success. */
async function receive(
  request: FeedRequest,
  answer: Answer,
  caps: BodyCaps,
  { clock }: FetchParts,
): Promise<FetchedAnswer> {
  const { status, headers, isKeyWithheld } = answer;
  const { host } = answer.url;
  const chunks = decodeBody(answer.body, { encoding: headers['content-encoding'], host, caps, clock });
  if (status >= 200 && status < 300) {
    return { status, headers, host, buffered: await bufferBody(chunks, caps.bufferBytes) };
  }
  const text = await readStart(chunks, MAX_ERROR_BODY_BYTES).catch(() => '');
  if (status !== 304) throw answerError(answer, isKeyWithheld ? null : request, text);
  if (!request.conditional) throw new GatewayError('upstream-malformed', `${host} answered 304 without being asked.`);
  return { status, headers, host, buffered: null };
}

function parseJson(text: string, secrets: Iterable<Secret>, host: string): unknown {
  if (hasTooManyValues(text)) {
    throw new GatewayError('upstream-too-large', `${host} sent more than ${MAX_JSON_VALUES} values in one answer.`);
  }
  try {
    return JSON.parse(text);
  } catch {
    const excerpt = redact(text.slice(0, 4096), secrets)
      .slice(0, 60)
      .replace(/[\p{Cc}\s]+/gu, ' ');
    throw new GatewayError('upstream-malformed', `${host} sent no whole JSON.`, { excerpt });
  }
}

/** Yields the same bytes and tells the size of each chunk. */
export async function* countBytes(
  body: AsyncIterable<Uint8Array>,
  onBytes: (size: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    onBytes(chunk.length);
    yield chunk;
  }
}

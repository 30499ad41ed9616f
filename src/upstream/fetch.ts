import { hash } from 'node:crypto';
import type { FeedRequest, FeedResponse } from '../feeds/feed.ts';
import { GatewayError } from '../model/error.ts';
import { holdsTooMuch, MAX_JSON_VALUES } from '../model/json.ts';
import { answeredAt } from '../model/response-date.ts';
import type { Secret } from '../model/secret.ts';
import { keepOutcome, MAX_WAIT_MS } from './admission.ts';
import { type BodyCaps, bodyCaps, decodeBody, type HeldBody, holdBody, readStart, readText } from './body.ts';
import { type Cookies, openCookies } from './cookies.ts';
import { redact, withoutKey } from './redact.ts';
import { type Answer, headersOf, pastDate, type SendParts, sendFollowing, type Validators } from './send.ts';
import { type Flights, shareFlight } from './single-flight.ts';

export interface FetchParts extends SendParts {
  caps?: Partial<BodyCaps>;
  /** Requests on their way, of all feeds that may share them. */
  flights?: Flights;
}

/** An answer whose text is only parsed once `ready` resolves: it may be large, and waiting for its bytes is no work yet. */
export interface Fetched extends FeedResponse {
  json(ready?: () => Promise<void>): Promise<unknown>;
}

export interface FeedFetcher {
  fetch(request: FeedRequest): Promise<Fetched | null>;
  /** Requests sent, retries and redirects among them; none for what another feed's request answered. */
  requests(): number;
  /** The upstream said 304, or sent the very body of the last whole pull. */
  isUnchanged(): boolean;
  /** Known once the body was read to its end; nulls for a pull of several requests. */
  validators(): Validators;
}

/** An answer as whoever asked for it, or for the same, may read it. */
interface Exchange {
  status: number;
  headers: Record<string, string>;
  host: string;
  /** Null: 304. */
  held: HeldBody | null;
}

const NO_VALIDATORS: Validators = { etag: null, lastModified: null, bodyHash: null };
const ATTEMPTS = 3;
const FIRST_BACKOFF_MS = 1000;
const MAX_ERROR_BODY = 4096;

/** The network as one poll of one feed gets it: in turn, conditional, capped, shared, and silent about keys. */
export function createFetcher(parts: FetchParts): FeedFetcher {
  const caps = { ...bodyCaps, ...parts.caps };
  const flights: Flights = parts.flights ?? new Map();
  const cookies = openCookies(parts.clock);
  let requests = 0;
  let isUnchanged = false;
  let conditional: { etag: string | null; lastModified: string | null; held: HeldBody } | null = null;

  /** One try: the answer to it, or to what it redirects to. */
  const exchange = async (request: FeedRequest): Promise<Exchange> => {
    let isAnswered = false;
    try {
      const answer = await sendFollowing(request, parts, cookies, () => {
        requests += 1;
      });
      isAnswered = true;
      const done = await receive(request, answer, caps, parts);
      await keepOutcome(true, parts);
      return done;
    } catch (thrown) {
      parts.signal.throwIfAborted();
      const isOutage = thrown instanceof Retryable ? thrown.isOutage : !(thrown instanceof GatewayError);
      if (isOutage || isAnswered) await keepOutcome(!isOutage, parts);
      throw thrown;
    }
  };

  const persist = async (request: FeedRequest): Promise<Exchange> => {
    let before: GatewayError | null = null;
    for (let tries = 1; ; tries += 1) {
      try {
        return await exchange(request);
      } catch (thrown) {
        parts.signal.throwIfAborted();
        const isFinal = thrown instanceof GatewayError;
        const error = withoutKey(
          thrown instanceof Retryable ? thrown.error : foreseen(thrown, request.url.host),
          keyOf(request),
        );
        const { retryAfter } = error;
        // No further try for now: what the upstream did says more than that.
        if (before !== null && isFinal && retryAfter !== undefined) {
          throw new GatewayError(before.code, before.message, { retryAfter });
        }
        before = error;
        const wait = (retryAfter ?? 0) * 1000;
        if (isFinal || tries >= ATTEMPTS || wait > MAX_WAIT_MS) throw error;
        // What the upstream asked for is waited out with the budget; jitter keeps many gateways from coming in step.
        if (wait === 0) {
          await parts.clock.sleep(FIRST_BACKOFF_MS * 2 ** tries * (0.5 + Math.random() / 2), parts.signal);
        }
      }
    }
  };

  return {
    requests: () => requests,
    isUnchanged: () => isUnchanged,
    validators: () => {
      if (conditional === null) return NO_VALIDATORS;
      const { etag, lastModified, held } = conditional;
      const bodyHash = held.hash();
      return bodyHash === null ? NO_VALIDATORS : { etag, lastModified, bodyHash };
    },
    async fetch(request) {
      const flight = await shareFlight(flights, flightOf(request, cookies, parts), () => persist(request));
      const copy = flight.isShared ? copyOf(flight.value) : flight.value;
      const { status, headers, host, held } = copy ?? (await persist(request));
      const hasOwnBody = held !== null && held.hash() !== null && held.hash() === parts.validators.bodyHash;
      if (held === null || (request.conditional && hasOwnBody)) {
        isUnchanged = true;
        return null;
      }
      if (request.conditional) {
        const at = answeredAt(headers['date'], parts.clock.now());
        const lastModified = pastDate(headers['last-modified'] ?? null, at);
        conditional = { etag: headers['etag'] ?? null, lastModified, held };
      }
      const body = inOurWords(held.body, host, parts.signal);
      return {
        status,
        headers,
        body,
        async json(ready) {
          const text = await readText(body, caps.json, host);
          await ready?.();
          return parseJson(text, request, host);
        },
      };
    },
  };
}

function keyOf({ authorization }: FeedRequest): Secret | null {
  return authorization?.key ?? null;
}

/** Two requests are equal when nothing that is sent, nor how, tells them apart. A hash: the key is part of it. */
function flightOf(request: FeedRequest, cookies: Cookies, parts: FetchParts): string {
  const { url, method = 'GET', body = null, conditional = false } = request;
  const headers = Object.entries(headersOf(request, false, parts)).sort();
  const { accountName, dispatchers } = parts;
  const all = [accountName, dispatchers.way, method, url.href, headers, cookies.headerFor(url), body, conditional];
  return hash('sha256', JSON.stringify(all), 'hex');
}

/** The same answer for another reader; null when it was too large to be kept. */
function copyOf(exchange: Exchange): Exchange | null {
  if (exchange.held === null) return exchange;
  const held = exchange.held.copy();
  return held === null ? null : { ...exchange, held };
}

/** Reads ahead what can be; throws where the answer is a refusal. */
async function receive(request: FeedRequest, answer: Answer, caps: BodyCaps, parts: FetchParts): Promise<Exchange> {
  const { status, headers, keyWithheld } = answer;
  const { host } = answer.url;
  const chunks = decodeBody(answer.body, { encoding: headers['content-encoding'], host, caps, clock: parts.clock });
  if (status >= 200 && status < 300) return { status, headers, host, held: await holdBody(chunks, caps.ahead) };
  const text = await readStart(chunks, MAX_ERROR_BODY).catch(() => '');
  if (status !== 304) throw refusal(answer, keyWithheld ? null : request, text);
  if (!request.conditional) throw new GatewayError('upstream-malformed', `${host} answered 304 without being asked.`);
  return { status, headers, host, held: null };
}

/** Wraps what another try may mend. GatewayErrors that come bare are final. */
class Retryable extends Error {
  readonly error: GatewayError;
  /** The upstream is not well, rather than not willing. */
  readonly isOutage: boolean;
  constructor(error: GatewayError, isOutage: boolean) {
    super(error.message);
    this.error = error;
    this.isOutage = isOutage;
  }
}

/** An answer that is no success, as an error; wrapped where another try may be luckier. */
function refusal(
  { url, status, retryAfter, keyWithheld }: Answer,
  request: FeedRequest | null,
  body: string,
): GatewayError | Retryable {
  const { host } = url;
  const hint = retryAfter === null ? {} : { retryAfter };
  if (status === 429) {
    const message = `${host} asks to wait ${retryAfter ?? 1} s.`;
    return new Retryable(new GatewayError('upstream-rate-limited', message, hint), false);
  }
  if (status >= 500 || status === 408 || status === 425) {
    return new Retryable(new GatewayError('upstream-failed', `${host} answered ${status}.`, hint), true);
  }
  const explained = request?.explain?.(status, body);
  if (explained) return explained;
  if ((status === 401 || status === 403) && keyWithheld) {
    const message = `A redirect led to ${host}, which is not given the key; set url to it if it is meant.`;
    return new GatewayError('upstream-unauthorized', message);
  }
  if (status === 401) return new GatewayError('upstream-unauthorized', `${host} does not accept the key.`);
  if (status === 403) return new GatewayError('upstream-forbidden', `${host} does not allow this with the key's plan.`);
  return new GatewayError('upstream-failed', `${host} answered ${status}.`);
}

function parseJson(text: string, request: FeedRequest, host: string): unknown {
  if (holdsTooMuch(text)) {
    throw new GatewayError('upstream-too-large', `${host} sent more than ${MAX_JSON_VALUES} values in one answer.`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const start = redact(text.slice(0, 4096), keyOf(request))
      .slice(0, 60)
      .replace(/[\p{Cc}\s]+/gu, ' ');
    throw new GatewayError('upstream-malformed', `${host} sent no whole JSON.`, { excerpt: start });
  }
}

/** The rest of a body, with errors that may cross to a format. */
async function* inOurWords(body: AsyncIterable<Uint8Array>, host: string, signal: AbortSignal) {
  try {
    yield* body;
  } catch (error) {
    signal.throwIfAborted();
    throw foreseen(error, host);
  }
}

/** Network errors by their code; their texts and causes may quote a request with its key, so they don't travel on. */
function foreseen(error: unknown, host: string): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = (error as { code?: unknown }).code;
  const word = typeof code === 'string' ? code : 'no code';
  if (/TIMEOUT|TIMEDOUT/.test(word)) {
    return new GatewayError('upstream-timeout', `${host} did not answer in time (${word}).`);
  }
  return new GatewayError('upstream-failed', `${host} could not be read (${word}).`);
}

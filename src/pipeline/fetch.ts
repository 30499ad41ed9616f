import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, request as send } from 'undici';
import type { FeedAccount, FeedFetch, FeedRequest, FeedResponse } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import {
  acceptEncoding,
  type BodyCaps,
  bodyCaps,
  decodeBody,
  type HeldBody,
  holdBody,
  readStart,
  readText,
} from './body.ts';
import { admit, learn, settle, spend } from './budget.ts';
import { type ConnectOptions, withCertificates } from './certificates.ts';
import { followRedirect, isRedirect, MAX_REDIRECTS, mayCarryKey } from './redirect.ts';

/** What a whole pull leaves for the next: RFC 9110 section 8.8, and the SHA-256 of a one-request pull's body. */
export interface Validators {
  etag: string | null;
  lastModified: string | null;
  bodyHash: string | null;
}

export interface FetchParts {
  clock: Clock;
  writer: Pick<Writer, 'transaction'>;
  account: FeedAccount;
  /** Under which the store keeps what is spent. */
  accountName: string;
  /** Of the last whole pull. */
  validators: Validators;
  userAgent: string;
  signal: AbortSignal;
  caps?: Partial<BodyCaps>;
  /** How connections are made; for tests. */
  dispatcher?: Dispatcher;
}

export interface FeedFetcher {
  fetch: FeedFetch;
  /** Requests sent, retries and redirects among them. */
  requests(): number;
  /** The upstream said 304, or sent the very body of the last whole pull. */
  isUnchanged(): boolean;
  /** Known once the body was read to its end; nulls for a pull of several requests. */
  validators(): Validators;
}

const NO_VALIDATORS: Validators = { etag: null, lastModified: null, bodyHash: null };
const ATTEMPTS = 3;
const FIRST_BACKOFF_MS = 1000;
/** A poll waits this long for its turn; a longer wait ends it, and the schedule comes back. */
const MAX_WAIT_MS = 120_000;
const CONNECT_MS = 10_000;
/** Without headers, or without a further byte of the body. */
const SILENCE_MS = 60_000;
const MAX_ERROR_BODY = 4096;
const MAX_VALIDATOR = 1024;

const openAgent = (connect: ConnectOptions): Agent =>
  new Agent({ connect: { timeout: CONNECT_MS, ...connect }, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS });
const agent = openAgent({});

/** The network as one poll of one feed gets it: in turn, conditional, capped, and silent about keys. */
export function createFetcher(parts: FetchParts): FeedFetcher {
  const caps = { ...bodyCaps, ...parts.caps };
  let requests = 0;
  let isUnchanged = false;
  let conditional: { etag: string | null; lastModified: string | null; held: HeldBody } | null = null;

  /** One try: the answer to it, or to what it redirects to. */
  const attempt = async (request: FeedRequest): Promise<FeedResponse | null> => {
    const answer = await sendFollowing(request, parts, () => {
      requests += 1;
    });
    const { status, headers, keyWithheld } = answer;
    const { host } = answer.url;
    const chunks = decodeBody(answer.body, { encoding: headers['content-encoding'], host, caps, clock: parts.clock });
    if (status < 200 || status >= 300) {
      const text = await readStart(chunks, MAX_ERROR_BODY).catch(() => '');
      if (status !== 304) throw refusal(answer, keyWithheld ? null : request, text);
      if (!request.conditional)
        throw new GatewayError('upstream-malformed', `${host} answered 304 without being asked.`);
      isUnchanged = true;
      return null;
    }
    const held = await holdBody(chunks, caps.ahead);
    if (request.conditional) {
      if (held.hash() !== null && held.hash() === parts.validators.bodyHash) {
        isUnchanged = true;
        return null;
      }
      conditional = { etag: headers['etag'] ?? null, lastModified: headers['last-modified'] ?? null, held };
    }
    const body = inOurWords(held.body, host, parts.signal);
    return { status, headers, body, json: () => readJson(body, request, caps.json, host) };
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
      for (let tries = 1; ; tries += 1) {
        try {
          return await attempt(request);
        } catch (thrown) {
          parts.signal.throwIfAborted();
          const error = thrown instanceof Retryable ? thrown.error : foreseen(thrown, request.url.host);
          const wait = (error.retryAfter ?? 0) * 1000;
          if (error === thrown || tries >= ATTEMPTS || wait > MAX_WAIT_MS) throw error;
          // What the upstream asked for is waited out with the budget; jitter keeps many gateways from coming in step.
          if (wait === 0)
            await parts.clock.sleep(FIRST_BACKOFF_MS * 2 ** tries * (0.5 + Math.random() / 2), parts.signal);
        }
      }
    },
  };
}

/** Wraps what another try may mend. GatewayErrors that come bare are final. */
class Retryable extends Error {
  readonly error: GatewayError;
  constructor(error: GatewayError) {
    super(error.message);
    this.error = error;
  }
}

interface Answer {
  url: URL;
  status: number;
  headers: Record<string, string>;
  body: Readable;
  /** A redirect led to a host that the key is not for. */
  keyWithheld: boolean;
  /** Seconds until the account may ask again; null when the answer said nothing of it. */
  retryAfter: number | null;
}

/** Sends in turn and follows redirects, each a request of its own. */
async function sendFollowing(request: FeedRequest, parts: FetchParts, onRequest: () => void): Promise<Answer> {
  let { url, method = 'GET' } = request;
  let body = request.body ?? null;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    await takeTurn(request.weight ?? 1, parts);
    onRequest();
    const keyWithheld =
      request.authorization !== undefined && !mayCarryKey(request.url, url, request.authorization.hosts);
    const reply = await send(url, {
      method,
      headers: headersOf(request, keyWithheld, parts),
      body,
      dispatcher: withCertificates(parts.account, request.url, url, openAgent) ?? parts.dispatcher ?? agent,
      signal: parts.signal,
    });
    // The body may break while nobody reads it yet; whoever reads it later still gets the error.
    reply.body.on('error', () => undefined);
    const status = reply.statusCode;
    const headers = flatten(reply.headers);
    const retryAfter = await remember(status, headers, parts);
    const { location } = headers;
    if (!isRedirect(status) || location === undefined) {
      return { url, status, headers, body: reply.body, keyWithheld, retryAfter };
    }
    reply.body.destroy();
    url = followRedirect(url, location);
    // RFC 9110 sections 15.4.2 to 15.4.4: as every browser does it.
    if (method === 'POST' && status <= 303) [method, body] = ['GET', null];
  }
  throw new GatewayError('upstream-malformed', `More than ${MAX_REDIRECTS} redirects from ${request.url.host}.`);
}

function headersOf(request: FeedRequest, keyWithheld: boolean, { validators, userAgent }: FetchParts) {
  const headers: Record<string, string> = {
    ...request.headers,
    'user-agent': userAgent,
    'accept-encoding': acceptEncoding,
  };
  if (request.authorization !== undefined && !keyWithheld) {
    const { header, scheme, key } = request.authorization;
    headers[header] = scheme === null ? key.reveal() : `${scheme} ${key.reveal()}`;
  }
  const { etag, lastModified } = validators;
  if (request.conditional && etag !== null && etag.length <= MAX_VALIDATOR) headers['if-none-match'] = etag;
  if (request.conditional && lastModified !== null && lastModified.length <= MAX_VALIDATOR) {
    headers['if-modified-since'] = lastModified;
  }
  return headers;
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const pairs = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  return Object.fromEntries(pairs);
}

/** Waits until the account's budget admits the request and spends it, in one transaction with looking. */
async function takeTurn(weight: number, { clock, writer, account, accountName, signal }: FetchParts): Promise<void> {
  const giveUpAt = clock.now() + MAX_WAIT_MS * MICROS_PER_MS;
  for (;;) {
    signal.throwIfAborted();
    const wait = await writer.transaction(async (tx) => {
      const now = clock.now();
      const state = await tx.account(accountName);
      const at = admit(state, account.limits, weight, now);
      // Settled while waiting too: after a clock was set back, the wait must not begin anew with every look.
      await tx.saveAccount(at <= now ? spend(state, account.limits, weight, now) : settle(state, now));
      return at - now;
    });
    if (wait <= 0) return;
    if (clock.now() + wait > giveUpAt) {
      const retryAfter = Math.ceil(wait / MICROS_PER_SECOND);
      const message = `The allowance at ${account.origin} admits the next request in ${retryAfter} s.`;
      throw new GatewayError('budget-exhausted', message, { retryAfter });
    }
    await clock.sleep(Math.ceil(wait / MICROS_PER_MS), signal);
  }
}

/** Keeps what the answer says of the allowance; answers how many seconds it asks to wait. */
async function remember(
  status: number,
  headers: Record<string, string>,
  { clock, writer, accountName }: FetchParts,
): Promise<number | null> {
  const now = clock.now();
  return writer.transaction(async (tx) => {
    const state = await tx.account(accountName);
    const learnt = learn(state, status, headers, now);
    if (learnt === state) return null;
    await tx.saveAccount(learnt);
    return Math.max(1, Math.ceil(((learnt.blockedUntil ?? now) - now) / MICROS_PER_SECOND));
  });
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
    return new Retryable(new GatewayError('upstream-rate-limited', message, hint));
  }
  if (status >= 500 || status === 408 || status === 425) {
    return new Retryable(new GatewayError('upstream-failed', `${host} answered ${status}.`, hint));
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

async function readJson(body: AsyncIterable<Uint8Array>, request: FeedRequest, most: number, host: string) {
  const text = await readText(body, most, host);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // A page that repeats the request, as some error pages do, must not carry the key into a message.
    const key = request.authorization?.key.reveal();
    const quotable = key === undefined ? text : text.slice(0, 4096).replaceAll(key, '[redacted]');
    const start = quotable.slice(0, 60).replace(/[\p{Cc}\s]+/gu, ' ');
    throw new GatewayError('upstream-malformed', `${host} sent no whole JSON; it begins with: ${start}`);
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

import { pipeline } from 'node:stream';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { getDomain } from 'tldts';
import { Agent, request as send } from 'undici';
import type { FeedAccount, FeedFetch, FeedRequest, FeedResponse } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import { admit, learn, spend } from './budget.ts';

export interface FetchParts {
  clock: Clock;
  writer: Writer;
  /** The account's name and limits. */
  account: FeedAccount;
  accountName: string;
  validators: { etag: string | null; lastModified: string | null };
  userAgent: string;
  signal: AbortSignal;
}

export interface FeedFetcher {
  fetch: FeedFetch;
  requests(): number;
  /** The upstream said 304. */
  isUnchanged(): boolean;
  validators(): { etag: string | null; lastModified: string | null };
}

const ATTEMPTS = 3;
const MAX_HOPS = 5;
const FIRST_BACKOFF_MS = 1000;
/** A poll waits this long for its budget; a longer wait ends it, and the schedule comes back. */
const MAX_WAIT_MS = 120_000;
const TIMEOUT_MS = 60_000;
/** Bytes of one body after decompression. */
const MAX_BODY = 256 * 1024 * 1024;
const MAX_ERROR_BODY = 4096;

const agent = new Agent({
  connectTimeout: 10_000,
  headersTimeout: TIMEOUT_MS,
  bodyTimeout: TIMEOUT_MS,
});

const decoders = { gzip: createGunzip, 'x-gzip': createGunzip, br: createBrotliDecompress, zstd: createZstdDecompress };

/** The network as one poll of one feed gets it. */
export function createFetcher(parts: FetchParts): FeedFetcher {
  let requests = 0;
  let unchanged = false;
  let validators: { etag: string | null; lastModified: string | null } = { etag: null, lastModified: null };

  const once = async (request: FeedRequest): Promise<FeedResponse> => {
    let url = request.url;
    for (let hop = 0; hop <= MAX_HOPS; hop += 1) {
      await takeTurn(request.weight ?? 1, parts);
      requests += 1;
      const answer = await sendOne(request, url, parts);
      await remember(answer, parts);
      const location = answer.headers['location'];
      if (![301, 302, 307, 308].includes(answer.status) || location === undefined) return answer;
      await drain(answer);
      url = followed(url, location);
    }
    throw new GatewayError('upstream-malformed', `More than ${MAX_HOPS} redirects from ${request.url.host}.`);
  };

  return {
    requests: () => requests,
    isUnchanged: () => unchanged,
    validators: () => validators,
    async fetch(request) {
      for (let attempt = 1; ; attempt += 1) {
        const outcome = await once(request).catch((error: unknown) => foreseen(error, request.url));
        if (!(outcome instanceof GatewayError)) {
          if (outcome.status === 304) {
            await drain(outcome);
            unchanged = true;
            validators = parts.validators;
            return null;
          }
          if (outcome.status >= 200 && outcome.status < 300) {
            const { etag = null, 'last-modified': lastModified = null } = outcome.headers;
            validators = { etag, lastModified };
            return outcome;
          }
        }
        const error = outcome instanceof GatewayError ? outcome : await refusal(outcome, request, parts);
        const mayRetry = error.code === 'upstream-failed' || error.code === 'upstream-timeout' || isShortWait(error);
        if (attempt >= ATTEMPTS || !mayRetry || parts.signal.aborted) throw error;
        // Jitter keeps many gateways from coming back in step.
        if (!isShortWait(error))
          await parts.clock.sleep(FIRST_BACKOFF_MS * 2 ** attempt * (0.5 + Math.random() / 2), parts.signal);
      }
    },
  };
}

function isShortWait(error: GatewayError): boolean {
  return error.code === 'upstream-rate-limited' && (error.retryAfter ?? 0) * 1000 <= MAX_WAIT_MS;
}

/** Waits until the account's budget admits the request and spends it, in one transaction with looking. */
async function takeTurn(weight: number, { clock, writer, account, accountName, signal }: FetchParts): Promise<void> {
  const deadline = clock.now() + MAX_WAIT_MS * MICROS_PER_MS;
  for (;;) {
    signal.throwIfAborted();
    const at = await writer.transaction(async (tx) => {
      const now = clock.now();
      const state = await tx.account(accountName);
      const earliest = admit(state, account.limits, weight, now);
      if (earliest <= now) await tx.saveAccount(spend(state, account.limits, weight, now));
      return earliest <= now ? null : earliest;
    });
    if (at === null) return;
    if (at > deadline) {
      const retryAfter = Math.ceil((at - clock.now()) / MICROS_PER_SECOND);
      throw new GatewayError('budget-exhausted', `The allowance at ${account.origin} is spent for ${retryAfter} s.`, {
        retryAfter,
      });
    }
    await clock.sleep(Math.ceil((at - clock.now()) / MICROS_PER_MS), signal);
  }
}

async function remember({ status, headers }: FeedResponse, { clock, writer, accountName }: FetchParts): Promise<void> {
  await writer.transaction(async (tx) => {
    const state = await tx.account(accountName);
    const learnt = learn(state, status, headers, clock.now());
    if (learnt !== state) await tx.saveAccount(learnt);
  });
}

async function sendOne(request: FeedRequest, url: URL, parts: FetchParts): Promise<FeedResponse> {
  const { authorization, conditional } = request;
  const headers: Record<string, string> = {
    ...request.headers,
    'user-agent': parts.userAgent,
    'accept-encoding': 'gzip, br, zstd',
  };
  if (authorization !== undefined && isSameHost(request.url, url)) {
    const { header, scheme, key } = authorization;
    headers[header] = scheme === null ? key.reveal() : `${scheme} ${key.reveal()}`;
  }
  if (conditional && parts.validators.etag !== null) headers['if-none-match'] = parts.validators.etag;
  if (conditional && parts.validators.lastModified !== null)
    headers['if-modified-since'] = parts.validators.lastModified;
  const {
    statusCode,
    headers: answered,
    body,
  } = await send(url, {
    method: request.method ?? 'GET',
    headers,
    body: request.body ?? null,
    dispatcher: agent,
    signal: parts.signal,
  });
  const flat = Object.entries(answered).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  const encoding = String(answered['content-encoding'] ?? '').toLowerCase();
  const decode = Object.hasOwn(decoders, encoding) ? decoders[encoding as keyof typeof decoders] : null;
  const capped = cap(decode === null ? body : pipeline(body, decode(), () => undefined), url);
  return {
    status: statusCode,
    headers: Object.fromEntries(flat),
    body: capped,
    async json() {
      const text = Buffer.concat(await Array.fromAsync(capped)).toString('utf8');
      try {
        return JSON.parse(text);
      } catch {
        const start = text.slice(0, 60).replace(/\s+/g, ' ');
        throw new GatewayError('upstream-malformed', `${url.host} sent no whole JSON; it begins with: ${start}`);
      }
    },
  };
}

async function* cap(body: AsyncIterable<Uint8Array>, url: URL): AsyncGenerator<Uint8Array> {
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MAX_BODY)
        throw new GatewayError('upstream-too-large', `${url.host} sent more than ${MAX_BODY} bytes.`);
      yield chunk;
    }
  } catch (error) {
    throw foreseen(error, url);
  }
}

async function drain({ body }: FeedResponse): Promise<string> {
  let text = '';
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.length > MAX_ERROR_BODY) break;
  }
  return text.slice(0, MAX_ERROR_BODY);
}

/** Same site, same port, never from https to http: where a redirect may lead. */
function followed(from: URL, location: string): URL {
  const to = new URL(location, from);
  const siteOf = (url: URL): string => getDomain(url.hostname, { allowPrivateDomains: true }) ?? url.hostname;
  const isAllowed = to.protocol === from.protocol && to.port === from.port && siteOf(to) === siteOf(from);
  const isUpgrade = from.protocol === 'http:' && to.protocol === 'https:' && siteOf(to) === siteOf(from);
  if (isAllowed || isUpgrade) return to;
  throw new GatewayError(
    'upstream-malformed',
    `${from.host} redirects to ${to.host}, which is another site; set url to it if it is meant.`,
  );
}

/** A key goes to the host it is for; `www.` in front of it is the same host. */
function isSameHost(meant: URL, actual: URL): boolean {
  const bare = (url: URL): string => url.hostname.replace(/^www\./, '');
  return bare(meant) === bare(actual) && !(meant.protocol === 'https:' && actual.protocol !== 'https:');
}

async function refusal(
  answer: FeedResponse,
  request: FeedRequest,
  { clock, writer, accountName }: FetchParts,
): Promise<GatewayError> {
  const { status } = answer;
  const body = await drain(answer).catch(() => '');
  const { host } = request.url;
  if (status === 429) {
    const { blockedUntil } = await writer.account(accountName);
    const retryAfter = Math.max(1, Math.ceil(((blockedUntil ?? 0) - clock.now()) / MICROS_PER_SECOND));
    return new GatewayError('upstream-rate-limited', `${host} asks to wait ${retryAfter} s.`, { retryAfter });
  }
  const explained = request.explain?.(status, body);
  if (explained !== undefined && explained !== null) return explained;
  if (status === 401) return new GatewayError('upstream-unauthorized', `${host} does not accept the key.`);
  if (status === 403) return new GatewayError('upstream-forbidden', `${host} does not allow this with the key's plan.`);
  // A server in trouble may be asked again; one that knows what it refuses may not.
  return new GatewayError(status >= 500 ? 'upstream-failed' : 'upstream-malformed', `${host} answered ${status}.`);
}

/** Network errors in our words; their own may quote a request with its key, so they don't travel on. */
function foreseen(error: unknown, url: URL): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = (error as { code?: unknown }).code;
  const word = typeof code === 'string' ? code : 'an unknown error';
  if (word.includes('TIMEOUT'))
    return new GatewayError('upstream-timeout', `${url.host} did not answer in time (${word}).`);
  return new GatewayError('upstream-failed', `${url.host} could not be read (${word}).`);
}

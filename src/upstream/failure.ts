import type { FeedRequest } from '../feeds/feed.ts';
import { GatewayError, systemErrorCode } from '../model/error.ts';
import { keyWithheld } from './redirect.ts';
import type { Answer } from './send.ts';

/** What goes wrong upstream, as GatewayErrors. They name the host and no more: addresses may hold keys. */

/** A failure that another attempt may overcome. A bare GatewayError is final. */
export class Retryable extends Error {
  readonly error: GatewayError;
  /** The upstream is down, rather than unwilling: it counts for the circuit breaker. */
  readonly isOutage: boolean;
  constructor(error: GatewayError, isOutage: boolean) {
    super(error.message);
    this.error = error;
    this.isOutage = isOutage;
  }
}

/** An answer that is no success. `request` is null where the format's own explanation does not apply. */
export function answerError(
  { url, status, retryAfter, isKeyWithheld }: Answer,
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
  if ((status === 401 || status === 403) && isKeyWithheld) return keyWithheld(host);
  if (status === 401) return new GatewayError('upstream-unauthorized', `${host} does not accept the key.`);
  if (status === 403) return new GatewayError('upstream-forbidden', `${host} does not allow this with the key's plan.`);
  return new GatewayError('upstream-failed', `${host} answered ${status}.`);
}

/** A network error by its code. Its text and cause are dropped: they may quote a request with its key. */
export function networkError(error: unknown, host: string): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = systemErrorCode(error) ?? 'no code';
  if (/TIMEOUT|TIMEDOUT/.test(code)) {
    return new GatewayError('upstream-timeout', `${host} did not answer in time (${code}).`);
  }
  return new GatewayError('upstream-failed', `${host} could not be read (${code}).`);
}

/** Yields the same bytes. Network errors become GatewayErrors. */
export async function* withNetworkErrors(
  body: AsyncIterable<Uint8Array>,
  host: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    signal.throwIfAborted();
    throw networkError(error, host);
  }
}

import { GatewayError } from '../../model/error.ts';
import type { FeedContext, FeedResponse } from '../feed.ts';
import { type Asked, ask, type RequestOptions } from './request.ts';

export interface Answer {
  /** With its placeholders. */
  address: string;
  host: string;
  response: FeedResponse;
  /** Says that a copy answered; null: the address did. */
  note: string | null;
}

/**
 * Asks the address of a source, and its copies in their order where an address answers 403, 404 or 5xx, or nothing. Null: nothing
 * changed since the last whole pull. Throws the failure of the address itself when none answers.
 */
export async function askAny(feed: FeedContext<RequestOptions>, asked: Asked): Promise<Answer | null> {
  const { url = '', fallback_urls = [] } = feed.options;
  const hostOf = (address: string): string => new URL(address).host;
  let failure: GatewayError | null = null;
  for (const address of [url, ...fallback_urls]) {
    try {
      // What a copy says of itself in its validators says nothing of the address.
      const conditional = (asked.conditional ?? false) && failure === null;
      const response = await ask(feed, { ...asked, address, conditional });
      if (response === null) return null;
      const host = hostOf(address);
      const note = failure === null ? null : `${failure.message} The copy at ${host} was read in its place.`;
      return { address, host, response, note };
    } catch (error) {
      feed.signal.throwIfAborted();
      if (!isUnreachable(error)) throw failure ?? error;
      failure ??= error;
    }
  }
  throw failure;
}

function isUnreachable(error: unknown): error is GatewayError {
  return error instanceof GatewayError && /^upstream-(?:failed|forbidden|timeout)$/.test(error.code);
}

import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import { createFetcher } from './fetch.ts';
import { createFiles } from './files.ts';
import type { ConfiguredFeed, Upstream } from './poll.ts';

export interface UpstreamParts {
  writer: Writer;
  clock: Clock;
  /** Relative paths start here. */
  base: string;
  userAgent: string;
  signal: AbortSignal;
}

/** Feeds with the same key at the same origin share one allowance. */
export function accountNameOf({ format, options }: ConfiguredFeed): string | null {
  const account = format.account(options);
  if (account === null) return null;
  return account.key === null ? account.origin : `${account.origin} ${account.key.fingerprint()}`;
}

/** The network and the disk for one poll, with what the last whole pull left. */
export async function openUpstream(feed: ConfiguredFeed, parts: UpstreamParts): Promise<Upstream> {
  const { etag, lastModified, bodyHash } = await parts.writer.feedState(feed.definition.name);
  const files = createFiles(parts.base, bodyHash);
  const account = feed.format.account(feed.options);
  const accountName = accountNameOf(feed);
  const fetcher =
    account === null || accountName === null
      ? null
      : createFetcher({ ...parts, account, accountName, validators: { etag, lastModified } });
  return {
    fetch: async (request) => {
      if (fetcher === null) throw new GatewayError('internal', `Format ${feed.format.name} declares no account.`);
      return fetcher.fetch(request);
    },
    files: files.files,
    requests: () => fetcher?.requests() ?? 0,
    isUnchanged: () => (fetcher?.isUnchanged() ?? false) || files.isUnchanged(),
    validators: () => ({
      ...(fetcher?.validators() ?? { etag: null, lastModified: null }),
      bodyHash: files.fingerprint(),
    }),
  };
}

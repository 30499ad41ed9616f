import { hash } from 'node:crypto';
import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import { createFetcher, type Validators } from './fetch.ts';
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
  const reading = readingOf(feed, parts.userAgent);
  const known = recall(await parts.writer.feedState(feed.definition.name), reading);
  const files = createFiles(parts.base, known.bodyHash);
  const account = feed.format.account(feed.options);
  const accountName = accountNameOf(feed);
  const fetcher =
    account === null || accountName === null
      ? null
      : createFetcher({ ...parts, account, accountName, validators: known });
  return {
    fetch: async (request) => {
      if (fetcher === null) throw new GatewayError('internal', `Format ${feed.format.name} declares no account.`);
      return fetcher.fetch(request);
    },
    files: files.files,
    requests: () => fetcher?.requests() ?? 0,
    isUnchanged: () => (fetcher?.isUnchanged() ?? false) || files.isUnchanged(),
    validators: () => {
      const { etag = null, lastModified = null, bodyHash = null } = fetcher?.validators() ?? {};
      return { etag, lastModified, bodyHash: `${reading}:${files.fingerprint() ?? bodyHash ?? ''}` };
    },
  };
}

/**
 * How the feed is read: its definition, its options and the version that reads. The same bytes read in another way are not
 * what the last pull left, so validators count only for the reading they were made under.
 */
function readingOf({ definition, format, options }: ConfiguredFeed, userAgent: string): string {
  return hash('sha256', JSON.stringify([userAgent, format.name, definition, options]), 'hex').slice(0, 16);
}

function recall({ etag, lastModified, bodyHash }: Validators, reading: string): Validators {
  if (bodyHash === null || !bodyHash.startsWith(`${reading}:`))
    return { etag: null, lastModified: null, bodyHash: null };
  return { etag, lastModified, bodyHash: bodyHash.slice(reading.length + 1) || null };
}

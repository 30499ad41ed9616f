import { hash } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { AccountLimits, ConfiguredFeed, ConnectionTls, FeedContext } from '../feeds/feed.ts';
import type { Clock } from '../model/clock.ts';
import type { ProxySetting } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { Writer } from '../store/store.ts';
import { openGuardedDispatcher, type ResolveAll } from './dispatcher.ts';
import { createFetcher } from './fetch.ts';
import { createFiles } from './files.ts';
import { type Place, readIn } from './read-semaphore.ts';
import { siteOf } from './redirect.ts';
import type { Dispatchers, Validators } from './send.ts';
import type { Flights } from './single-flight.ts';

/** The network and the disk as one poll gets them: budgeted, conditional, capped. */
export interface Upstream {
  fetch: FeedContext<unknown>['fetch'];
  files: FeedContext<unknown>['files'];
  /** Upstream requests sent so far. */
  requests(): number;
  /** Everything the format asked for is as the last whole pull left it. */
  isUnchanged(): boolean;
  /** Nothing that was read is held any more. */
  committed(): void;
  /** What a whole pull commits. */
  validators(): { etag: string | null; lastModified: string | null; bodyHash: string | null };
}

export interface UpstreamParts {
  writer: Writer;
  clock: Clock;
  /** Relative paths start here. */
  base: string;
  userAgent: string;
  signal: AbortSignal;
  /** What the feed's account allows, over all feeds that spend from it. */
  limits: AccountLimits | null;
  dispatchers: Dispatchers;
  flights: Flights;
  place: Place;
}

/**
 * Feeds with the same key at the same site share one allowance, whichever of its host names or doors they use; without a
 * key it is the origin that counts calls.
 */
export function accountNameOf({ format, options }: ConfiguredFeed): string | null {
  const account = format.account(options);
  if (account === null) return null;
  return account.key === null ? account.origin : `${siteOf(new URL(account.origin))} ${account.key.fingerprint()}`;
}

/** What each account allows: the strictest of what its feeds' formats say, for upstream counts them together. */
export function limitsOf(feeds: readonly ConfiguredFeed[]): Map<string, AccountLimits> {
  const limits = new Map<string, AccountLimits>();
  for (const feed of feeds) {
    const [name, account] = [accountNameOf(feed), feed.format.account(feed.options)];
    if (name === null || account === null) continue;
    const { minInterval, windows } = limits.get(name) ?? { minInterval: 0, windows: [] };
    const bySeconds = new Map<number, number>();
    for (const { seconds, requests } of [...windows, ...account.limits.windows]) {
      bySeconds.set(seconds, Math.min(requests, bySeconds.get(seconds) ?? requests));
    }
    limits.set(name, {
      minInterval: Math.max(minInterval, account.limits.minInterval),
      windows: [...bySeconds].map(([seconds, requests]) => ({ seconds, requests })),
    });
  }
  return limits;
}

/** One dispatcher for all feeds that are reached in the same way; made when first asked for. */
export function createDispatchers(resolveAll: ResolveAll | undefined) {
  const made = new Map<string, Dispatcher>();
  const nameOf = (internalHost: string | null, proxy: ProxySetting, tls: ConnectionTls | undefined): string => {
    const certificates = [tls?.cert, tls?.key, tls?.ca].map((pem) => pem?.fingerprint() ?? null);
    const through = typeof proxy === 'string' ? proxy : `at ${proxy.fingerprint()}`;
    return JSON.stringify([internalHost, through, certificates]);
  };
  const reach = (internalHost: string | null, proxy: ProxySetting, tls: ConnectionTls | undefined): Dispatcher => {
    const name = nameOf(internalHost, proxy, tls);
    const known = made.get(name) ?? openGuardedDispatcher({ internalHost, proxy, resolveAll, tls });
    made.set(name, known);
    return known;
  };
  return {
    of({ format, options, upstream: { internal, proxy } }: ConfiguredFeed): Dispatchers {
      const account = format.account(options);
      const internalHost = internal && account !== null ? new URL(account.origin).hostname : null;
      return {
        way: nameOf(internalHost, proxy, account?.tls),
        usual: reach(internalHost, proxy, undefined),
        certified: account?.tls === undefined ? null : reach(internalHost, proxy, account.tls),
      };
    },
    async close(): Promise<void> {
      await Promise.all([...made.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** The network and the disk for one poll, with what the last whole pull left. */
export async function openUpstream(feed: ConfiguredFeed, parts: UpstreamParts): Promise<Upstream> {
  const reading = readingOf(feed, parts.userAgent);
  const known = recall(await parts.writer.feedState(feed.definition.name), reading);
  const { place } = parts;
  const files = createFiles(parts.base, known.bodyHash);
  const account = feed.format.account(feed.options);
  const accountName = accountNameOf(feed);
  const fetcher =
    account === null || accountName === null
      ? null
      : createFetcher({
          ...parts,
          account: { ...account, limits: parts.limits ?? account.limits },
          accountName,
          validators: known,
        });
  return {
    fetch: async (request) => {
      if (fetcher === null) throw new GatewayError('internal', `Format ${feed.format.name} declares no account.`);
      const response = await fetcher.fetch(request);
      if (response === null) return null;
      const json = (): Promise<unknown> => response.json(() => place.begin());
      return { ...response, json, body: readIn(place, response.body) };
    },
    files: async (path) => {
      const listed = await files.files(path);
      return listed?.map((file) => ({ ...file, body: readIn(place, file.body) })) ?? null;
    },
    committed: () => place.end(),
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

import { hash } from 'node:crypto';
import type { AccountLimits, ConfiguredFeed, FeedContext } from '../feeds/feed.ts';
import type { Clock, Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Secret } from '../model/secret.ts';
import type { Flights } from '../model/single-flight.ts';
import type { Writer } from '../store/store.ts';
import { accountNameOf } from './account.ts';
import { createContributed } from './contributed.ts';
import type { Dispatchers } from './dispatcher.ts';
import { countBytes, createFetcher, type FetchedAnswer } from './fetch.ts';
import { createFiles } from './files.ts';
import { type ReadPermit, readWithPermit } from './read-semaphore.ts';
import type { Validators } from './send.ts';

/** The network and the disk for one poll: budgeted, conditional, capped. */
export interface Upstream {
  fetch: FeedContext<unknown>['fetch'];
  files: FeedContext<unknown>['files'];
  contributed: FeedContext<unknown>['contributed'];
  /** Upstream requests sent so far. */
  requests(): number;
  /** Bytes read so far. */
  bytes(): number;
  /** What no text may hold that people see. */
  secrets(): readonly Secret[];
  /** All that the format asked for is as the last whole pull left it. */
  isUnchanged(): boolean;
  /** Call it when what was read is committed or given up: it releases the poll's permit to read. */
  committed(): void;
  /** To be committed with a whole pull. */
  validators(): Validators;
  /** Until when that stays as it is by the upstream's word; null: it says nothing. */
  freshUntil(): Micros | null;
}

export interface UpstreamParts {
  writer: Writer;
  clock: Clock;
  /** Relative paths start here. */
  base: string;
  userAgent: string;
  signal: AbortSignal;
  /** Of the feed's account, over all feeds that spend from it (account.ts). */
  limits: AccountLimits | null;
  dispatchers: Dispatchers;
  flights: Flights<FetchedAnswer>;
  permit: ReadPermit;
  /** Everything is read, as if no pull had been before. */
  isAnew?: boolean;
}

/** Opens the network and the disk for one poll, with the validators of the last whole pull. */
export async function openUpstream(feed: ConfiguredFeed, parts: UpstreamParts): Promise<Upstream> {
  const fingerprint = feedFingerprint(feed, parts.userAgent);
  const known = parts.isAnew
    ? NO_VALIDATORS
    : validatorsOf(await parts.writer.feedState(feed.definition.name), fingerprint);
  const { permit } = parts;
  const files = createFiles(parts.base, known.bodyHash);
  const collections = createContributed(parts.writer, known.bodyHash);
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
  let bytes = 0;
  const counted = (body: AsyncIterable<Uint8Array>) =>
    countBytes(body, (size) => {
      bytes += size;
    });
  return {
    fetch: async (request) => {
      if (fetcher === null) throw new GatewayError('internal', `Format ${feed.format.name} declares no account.`);
      const response = await fetcher.fetch(request);
      if (response === null) return null;
      const json = (): Promise<unknown> => response.json(() => permit.acquire());
      return { ...response, json, body: readWithPermit(permit, response.body) };
    },
    files: async (path) => {
      const listed = await files.files(path);
      return listed?.map((file) => ({ ...file, body: readWithPermit(permit, counted(file.body)) })) ?? null;
    },
    contributed: collections.contributed,
    committed: () => permit.release(),
    requests: () => fetcher?.requests() ?? 0,
    bytes: () => bytes + (fetcher?.bytes() ?? 0),
    secrets: () => [...(fetcher?.secrets() ?? [])],
    isUnchanged: () => (fetcher?.isUnchanged() ?? false) || files.isUnchanged() || collections.isUnchanged(),
    freshUntil: () => fetcher?.freshUntil() ?? null,
    validators: () => {
      const { etag = null, lastModified = null, bodyHash = null } = fetcher?.validators() ?? {};
      const read = files.fingerprint() ?? collections.fingerprint() ?? bodyHash ?? '';
      return { etag, lastModified, bodyHash: `${fingerprint}:${read}` };
    },
  };
}

/**
 * Stands for how a feed is read: its definition, its options and our version. The same bytes read in another way give other rows, so
 * validators count only with the fingerprint that they were saved with.
 */
function feedFingerprint({ definition, format, options }: ConfiguredFeed, userAgent: string): string {
  return hash('sha256', JSON.stringify([userAgent, format.name, definition, options]), 'hex').slice(0, 16);
}

const NO_VALIDATORS: Validators = { etag: null, lastModified: null, bodyHash: null };

function validatorsOf({ etag, lastModified, bodyHash }: Validators, fingerprint: string): Validators {
  if (bodyHash === null || !bodyHash.startsWith(`${fingerprint}:`)) return NO_VALIDATORS;
  return { etag, lastModified, bodyHash: bodyHash.slice(fingerprint.length + 1) || null };
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Value } from 'typebox/value';
import type { Dispatcher } from 'undici';
import type { FeedBatch, FeedContext, FeedContributed, FeedFormat, FeedItem } from '../../src/feeds/feed.ts';
import type { Clock } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Rejection } from '../../src/model/observation.ts';
import type { Writer } from '../../src/store/store.ts';
import { createContributed } from '../../src/upstream/contributed.ts';
import type { BodyCaps } from '../../src/upstream/decode-body.ts';
import { openGuardedDispatcher } from '../../src/upstream/dispatcher.ts';
import { createFetcher, type FeedFetcher } from '../../src/upstream/fetch.ts';
import { createFiles } from '../../src/upstream/files.ts';
import type { Validators } from '../../src/upstream/send.ts';
import { scriptedClock } from './clock.ts';
import { START, storeIn } from './store.ts';

export interface FeedBench {
  clock: Clock;
  writer: Writer;
  /** A context as a poll would make it, on the real network (loopback) and disk. */
  context(over?: Partial<FeedContext<any>>, known?: Validators): FeedContext<any> & { fetcher: FeedFetcher | null };
}

/** What a format is given in a poll, without the poll: budget in a store of its own, a clock that jumps over waits. */
export async function openFeedBench<Options>(
  t: Test,
  format: FeedFormat<Options>,
  options: object,
  parts: {
    clock?: Clock;
    base?: string;
    caps?: Partial<BodyCaps>;
    dispatcher?: Dispatcher;
    writer?: Writer;
    contributed?: FeedContributed;
  } = {},
): Promise<FeedBench> {
  const clock = parts.clock ?? scriptedClock(START, { auto: true });
  const base = parts.base ?? t.testdir();
  const writer = parts.writer ?? (await openWriter(t, join(base, 'store'), clock));
  const filled = Value.Default(format.options, { ...options }) as Options;
  format.defaults(filled);
  const account = format.account(filled);
  const internalHost = account === null ? null : new URL(account.origin).hostname;
  const tls = account?.tls;
  const plain = parts.dispatcher ?? openGuardedDispatcher({ internalHost, proxy: 'off' });
  const certified = tls === undefined ? null : openGuardedDispatcher({ internalHost, proxy: 'off', tls });
  t.teardown(() => Promise.all([plain.destroy(), certified?.destroy()]));
  return {
    clock,
    writer,
    context(over = {}, known = { etag: null, lastModified: null, bodyHash: null }) {
      const signal = over.signal ?? new AbortController().signal;
      const fetcher =
        account === null
          ? null
          : createFetcher({
              clock,
              writer,
              account,
              accountName: 'account',
              validators: known,
              userAgent: 'Sluice/test',
              signal,
              ...(parts.caps === undefined ? {} : { caps: parts.caps }),
              dispatchers: { key: '', plain, certified },
            });
      return {
        options: filled,
        cursor: null,
        now: () => clock.now(),
        fetch: async (request) => {
          if (fetcher === null) throw new Error('the format declares no account');
          return fetcher.fetch(request);
        },
        files: createFiles(base, known.bodyHash).files,
        contributed: parts.contributed ?? createContributed(writer, known.bodyHash).contributed,
        signal,
        fetcher,
        ...over,
      };
    },
  };
}

async function openWriter(t: Test, location: string, clock: Clock): Promise<Writer> {
  mkdirSync(location, { recursive: true });
  const writer = await storeIn(location).openWriter(clock);
  t.teardown(() => writer.close());
  return writer;
}

export interface Pull {
  batches: FeedBatch[];
  items: FeedItem[];
  rejected: Rejection[];
  /** What a store would hold as the feed's bookmark afterwards. */
  cursor: string | null;
  error: unknown;
}

/** Reads to the end or to the error, which is kept. */
export async function pull(format: FeedFormat, context: FeedContext<any>): Promise<Pull> {
  const batches: FeedBatch[] = [];
  let error: unknown = null;
  try {
    for await (const batch of format.read(context)) batches.push(batch);
  } catch (thrown) {
    error = thrown;
  }
  return {
    batches,
    items: batches.flatMap(({ items }) => items),
    rejected: batches.flatMap(({ rejected }) => rejected),
    cursor: batches.reduce<string | null>((last, { cursor }) => cursor ?? last, context.cursor),
    error,
  };
}

export function codeOf(error: unknown): string | null {
  return error instanceof GatewayError ? error.code : null;
}

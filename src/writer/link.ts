import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { LoadedFile } from '../load.ts';
import { type Clock, MICROS_PER_MS, type Micros, systemClock } from '../model/clock.ts';
import { type ErrorCode, GatewayError } from '../model/error.ts';
import type { Client } from '../model/state.ts';
import type { Commits } from '../store/commits.ts';
import type { WriterSide } from './writer.ts';

export type ToWriter = { id: number; method: keyof WriterSide; args: unknown[] } | { touch: string };

export interface PackedError {
  code: ErrorCode;
  message: string;
  retryAfter: number | undefined;
  details: Record<string, string> | undefined;
}

export type FromWriter =
  | { event: 'ready' }
  | { event: 'clients'; clients: Client[] }
  | { event: 'answer'; id: number; value?: unknown; error?: PackedError };

/** Young objects die fast while rows stream through: a small nursery and a bounded heap keep the process small. */
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/** What the thread is started with. */
export interface WriterData extends Pick<LoadedFile, 'path' | 'text' | 'overrides'> {
  /** Of the Commits that readers look at. */
  commits: SharedArrayBuffer;
}

export interface WriterLink {
  side: WriterSide;
  /** Rejects when the thread dies; it never resolves. */
  died: Promise<never>;
}

/** Starts the writing thread and stands in for it here. Resolves when it is ready to write. */
export async function startWriter(
  { path, text, overrides }: LoadedFile,
  commits: Commits,
  onClients: (clients: Client[]) => void,
): Promise<WriterLink> {
  // As this file is: a source, or what was built from it.
  const worker = new Worker(new URL(`./thread${extname(import.meta.filename)}`, import.meta.url), {
    workerData: { path, text, overrides, commits: commits.memory } satisfies WriterData,
    resourceLimits: LIMITS,
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let ids = 0;
  let closing = false;
  const ready = Promise.withResolvers<void>();
  const death = Promise.withResolvers<never>();
  death.promise.catch(() => undefined);
  const fail = (error: Error): void => {
    ready.reject(error);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    if (!closing) death.reject(error);
  };
  worker.on('error', (error) => fail(asError(error)));
  worker.on('exit', () => fail(new GatewayError('unavailable', 'The writing thread ended.')));
  worker.on('message', (message: FromWriter) => {
    if (message.event === 'ready') ready.resolve();
    else if (message.event === 'clients') onClients(message.clients);
    else {
      const asked = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error === undefined) asked?.resolve(message.value);
      else asked?.reject(unpackError(message.error));
    }
  });
  const ask =
    (method: keyof WriterSide) =>
    (...args: unknown[]): Promise<any> =>
      new Promise((resolve, reject) => {
        ids += 1;
        waiting.set(ids, { resolve, reject });
        worker.postMessage({ id: ids, method, args } satisfies ToWriter);
      });
  await ready.promise;
  return {
    died: death.promise,
    side: {
      poll: ask('poll'),
      status: ask('status'),
      rejections: ask('rejections'),
      addClient: ask('addClient'),
      listClients: ask('listClients'),
      revokeClient: ask('revokeClient'),
      setUpSink: ask('setUpSink'),
      deadLetters: ask('deadLetters'),
      retrySink: ask('retrySink'),
      rebuildSink: ask('rebuildSink'),
      rebuildProgress: ask('rebuildProgress'),
      addFirstClient: ask('addFirstClient'),
      reconcile: ask('reconcile'),
      tick: ask('tick'),
      deliver: ask('deliver'),
      start: () => void ask('start')(),
      touch: limitTouches(systemClock, (journal) => worker.postMessage({ touch: journal } satisfies ToWriter)),
      async close() {
        closing = true;
        await ask('close')();
      },
    },
  };
}

/** However many readers there are, the writer hears of a journal at most so often, in milliseconds. */
const TOUCH_APART_MS = 10_000;

/** Journals come from the configuration, so what is remembered of them is bounded by it. */
export function limitTouches(clock: Clock, send: (journal: string) => void): (journal: string) => void {
  const last = new Map<string, Micros>();
  return (journal) => {
    const now = clock.now();
    const since = now - (last.get(journal) ?? Number.NEGATIVE_INFINITY);
    if (since >= 0 && since < TOUCH_APART_MS * MICROS_PER_MS) return;
    last.set(journal, now);
    send(journal);
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

export function packError(error: unknown): PackedError {
  if (error instanceof GatewayError) {
    const { code, message, retryAfter, details } = error;
    return { code, message, retryAfter, details };
  }
  return { code: 'internal', message: asError(error).message, retryAfter: undefined, details: undefined };
}

export function unpackError({ code, message, retryAfter, details }: PackedError): GatewayError {
  return new GatewayError(code, message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(details === undefined ? {} : { details }),
  });
}

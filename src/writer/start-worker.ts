import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { errorFromJson } from '../control/error-json.ts';
import { controlThrough } from '../control/verbs.ts';
import type { LoadedFile } from '../load.ts';
import { type Clock, MICROS_PER_MS, type Micros, type Millis, systemClock } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { Client } from '../model/state.ts';
import type { Commits } from '../store/commits.ts';
import type { Backend } from './backend.ts';
import type { FromWriter, ToWriter, WriterData } from './messages.ts';

/** Young objects die fast while rows stream through: a small nursery and a bounded heap keep the process small. */
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/** The backend in a thread of its own. It ticks and delivers by its own clock. */
export interface WriterThread extends Omit<Backend, 'tick' | 'deliver'> {
  /** Rejects when the thread dies; it never resolves. */
  died: Promise<never>;
}

/** Starts the writing thread. Resolves when it is ready to write. */
export async function startWriter(
  { path, text, overrides }: LoadedFile,
  commits: Commits,
  onClients: (clients: Client[]) => void,
): Promise<WriterThread> {
  // As this file is: a source, or what was built from it.
  const worker = new Worker(new URL(`./worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: { path, text, overrides, commits: commits.memory } satisfies WriterData,
    resourceLimits: LIMITS,
  });
  const send = (message: ToWriter): void => worker.postMessage(message);
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  const ready = Promise.withResolvers<void>();
  const death = Promise.withResolvers<never>();
  death.promise.catch(() => undefined);
  let isClosing = false;
  const fail = (error: Error): void => {
    ready.reject(error);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    if (!isClosing) death.reject(error);
  };
  worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => fail(new GatewayError('unavailable', 'The writing thread ended.')));
  worker.on('message', (message: FromWriter) => {
    if (message.event === 'ready') return ready.resolve();
    if (message.event === 'clients') return onClients(message.clients);
    const caller = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.event === 'result') caller?.resolve(message.value);
    else caller?.reject(errorFromJson(message.error));
  });
  let calls = 0;
  const call = <Result>(method: keyof Backend, args: unknown[] = []): Promise<Result> =>
    new Promise((resolve, reject) => {
      calls += 1;
      waiting.set(calls, { resolve: resolve as (value: unknown) => void, reject });
      send({ id: calls, method, args });
    });
  await ready.promise;
  return {
    ...controlThrough(call),
    died: death.promise,
    addFirstClient: (keyHash) => call('addFirstClient', [keyHash]),
    addEnvelope: (by, body) => call('addEnvelope', [by, body]),
    addIocs: (by, rows) => call('addIocs', [by, rows]),
    removeObject: (by, objectId, versions) => call('removeObject', [by, objectId, versions]),
    reconcile: () => call('reconcile'),
    start: () => void call('start'),
    refreshOnRead: limitRate(systemClock, (journal) => send({ wasRead: journal })),
    async close() {
      isClosing = true;
      await call('close');
    },
  };
}

/** However many readers there are, the writer is told of a journal at most once in this time. */
const READS_APART_MS: Millis = 10_000;

/** Calls `send` for the same journal at most once in `READS_APART_MS`. Journals come from the configuration, which bounds the memory. */
export function limitRate(clock: Clock, send: (journal: string) => void): (journal: string) => void {
  const last = new Map<string, Micros>();
  return (journal) => {
    const now = clock.now();
    const since = now - (last.get(journal) ?? Number.NEGATIVE_INFINITY);
    if (since >= 0 && since < READS_APART_MS * MICROS_PER_MS) return;
    last.set(journal, now);
    send(journal);
  };
}

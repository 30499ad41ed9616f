import type { Clock, Micros, Millis } from '../model/clock.ts';
import type { DeliveryReport, SetupReport, SinkStatus } from '../model/control.ts';
import type { DeliveredCollection } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Writer } from '../store/store.ts';
import { backoff } from './backoff.ts';
import { filterOf, findCheckpoint } from './checkpoint.ts';
import { type DeliveryContext, emptyReport } from './context.ts';
import { deliver } from './deliver.ts';
import { removeDroppedCollections } from './dropped-collections.ts';
import { rebuild } from './rebuild.ts';
import { redeliver } from './redeliver.ts';

/** A sink of the configuration that has been opened. */
export interface ConfiguredSink {
  name: string;
  kind: string;
  sink: Sink;
  collections: DeliveredCollection[];
  /** Aliases of collections that another sink delivers to the same target. */
  elsewhere: ReadonlySet<string>;
  /** Time between two deliveries. */
  every: Millis;
}

export interface DeliveryParts {
  clock: Clock;
  store: Writer;
  /** How long a tombstone stays in a journal. */
  keepOf(journal: string): Millis;
  /** Logs an unforeseen error. Never throws. */
  report(error: unknown): void;
  signal: AbortSignal;
}

const LONGEST_WAIT: Millis = 300_000;

/** The deliveries of one sink: delivers its collections at intervals, backs off after failures, and runs one task at a time. */
export class Delivery {
  readonly #sink: ConfiguredSink;
  readonly #parts: DeliveryParts;
  #failures = 0;
  #error: SinkStatus['error'] = null;
  /** The target's Retry-After (RFC 9110 section 10.2.3). */
  #retryAfter: Millis = 0;
  /** Ends when the last task that was asked for has ended. */
  #lastTask: Promise<unknown> = Promise.resolve();
  #woken = new AbortController();
  #progress: { done: number; total: number } | null = null;
  /** Collections that the configuration no longer names have been removed from the target. */
  #isDroppedRemoved = false;

  constructor(sink: ConfiguredSink, parts: DeliveryParts) {
    this.#sink = sink;
    this.#parts = parts;
  }

  /** Delivers until aborted. The time between two tries grows while the target fails. */
  async run(): Promise<void> {
    const { signal, report } = this.#parts;
    signal.addEventListener('abort', () => this.wake());
    while (!signal.aborted) {
      this.#woken = new AbortController();
      await this.once().catch((error: unknown) => {
        if (!signal.aborted && !(error instanceof GatewayError)) report(error);
      });
      await this.#pause().catch(() => undefined);
    }
  }

  /** There is something new: if it waits for its time, it delivers now. A target that fails is left alone all the same. */
  wake(): void {
    this.#woken.abort();
  }

  async #pause(): Promise<void> {
    const { clock, signal } = this.#parts;
    if (this.#failures === 0) return clock.sleep(this.#sink.every, this.#woken.signal);
    return clock.sleep(Math.max(this.#retryAfter, Math.min(LONGEST_WAIT, backoff(this.#failures) * 4)), signal);
  }

  /** Delivers every collection. When some fail, throws the error of the first after all were tried. */
  async once(): Promise<DeliveryReport> {
    return this.#inTurn((collection) => deliver(this.#contextOf(collection)));
  }

  async rebuild(): Promise<DeliveryReport> {
    this.#isDroppedRemoved = false;
    const begun = { done: 0, total: 0 };
    const report = this.#inTurn((collection) => {
      const { done: before, total: all } = begun;
      this.#progress = begun;
      const progress = (done: number, total: number): void => {
        this.#progress = Object.assign(begun, { done: before + done, total: all + total });
      };
      return rebuild({ ...this.#contextOf(collection), progress });
    });
    return report.finally(() => {
      this.#progress = null;
    });
  }

  /** Progress of the rebuild that runs; null when none does. */
  progress(): { done: number; total: number } | null {
    return this.#progress;
  }

  /** Runs the setup steps of the target and returns what was done. A dry run only lists them. */
  async setUp(dryRun: boolean): Promise<SetupReport[]> {
    const { sink } = this.#sink;
    if (dryRun) return shownSetup(sink);
    const reports: SetupReport[] = [];
    for (const step of sink.setup().filter(({ byHand }) => byHand !== true)) {
      const { name, method, path, body } = step;
      const outcome = await sink.install(step, this.#parts.signal);
      reports.push({ name, method, path, body, outcome });
    }
    return reports;
  }

  async redeliver(): Promise<DeliveryReport> {
    return this.#inTurn((collection) => redeliver(this.#contextOf(collection)));
  }

  async status(): Promise<SinkStatus> {
    const { store } = this.#parts;
    const { name, kind, collections } = this.#sink;
    const progress = collections.map(async (collection) => {
      const checkpoint = await findCheckpoint(store, { name, collection, sink: this.#sink.sink });
      return {
        alias: collection.alias,
        deliveredTo: checkpoint?.dateAdded ?? null,
        head: await store.newest(filterOf(collection)),
        updatedAt: checkpoint?.updatedAt ?? null,
      };
    });
    const failed = await store.deadLetterCount(name);
    return {
      name,
      kind,
      idle: null,
      collections: await Promise.all(progress),
      failed,
      failures: this.#failures,
      error: this.#error,
    };
  }

  async #removeDropped(): Promise<number> {
    if (this.#isDroppedRemoved) return 0;
    const { clock, store, signal } = this.#parts;
    const { name, sink, collections, elsewhere } = this.#sink;
    const swept = await removeDroppedCollections({ clock, store, name, sink, signal }, collections, elsewhere);
    this.#isDroppedRemoved = true;
    return swept;
  }

  #contextOf(collection: DeliveredCollection): DeliveryContext {
    const { clock, store, signal, keepOf } = this.#parts;
    const { name, sink } = this.#sink;
    return { clock, store, name, sink, collection, keep: keepOf(collection.journal), signal };
  }

  /** Runs a task for each collection, after the tasks before: two that push the same entries would disturb each other. */
  async #inTurn(task: (collection: DeliveredCollection) => Promise<DeliveryReport>): Promise<DeliveryReport> {
    const report = this.#lastTask.then(() => this.#forAll(task));
    this.#lastTask = report.catch(() => undefined);
    return report;
  }

  async #forAll(task: (collection: DeliveredCollection) => Promise<DeliveryReport>): Promise<DeliveryReport> {
    const total = emptyReport();
    let failure: unknown = null;
    try {
      total.swept += await this.#removeDropped();
    } catch (error) {
      if (this.#parts.signal.aborted) throw error;
      failure = error;
    }
    for (const collection of this.#sink.collections) {
      try {
        const { written, unchanged, refused, swept } = await task(collection);
        total.written += written;
        total.unchanged += unchanged;
        total.refused += refused;
        total.swept += swept;
      } catch (error) {
        if (this.#parts.signal.aborted) throw error;
        failure ??= error;
      }
    }
    if (failure === null) {
      [this.#failures, this.#error] = [0, null];
      return total;
    }
    this.#failures += 1;
    const seconds = failure instanceof GatewayError ? (failure.retryAfter ?? 0) : 0;
    this.#retryAfter = Math.min(LONGEST_WAIT, seconds * 1000);
    this.#error = statusError(failure, this.#parts.clock.now());
    throw failure;
  }
}

/** Every request of the setup, including those that the target's administrator has to send. Nothing is sent. */
export function shownSetup(sink: Sink): SetupReport[] {
  return sink.setup().map(({ name, method, path, body }) => ({ name, method, path, body, outcome: null }));
}

/** An error as `sluice status` shows it. */
function statusError(error: unknown, at: Micros): NonNullable<SinkStatus['error']> {
  if (error instanceof GatewayError) return { code: error.code, message: error.message, at };
  return { code: 'internal', message: 'It failed in an unforeseen way; the log says how.', at };
}

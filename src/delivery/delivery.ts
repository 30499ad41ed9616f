import type { Clock, Micros, Millis } from '../model/clock.ts';
import type { DeliveryReport, SetupReport, SinkStatus } from '../model/control.ts';
import type { DeliveredCollection } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Writer } from '../store/store.ts';
import { filterOf, findCheckpoint } from './checkpoint.ts';
import { deliver, rebuild, redeliver, withdrawDropped } from './deliver.ts';
import { waitFor } from './push.ts';

/** A sink of the configuration, opened. */
export interface ConfiguredSink {
  name: string;
  kind: string;
  sink: Sink;
  collections: DeliveredCollection[];
  /** Collections that another sink delivers to the same place. */
  elsewhere: ReadonlySet<string>;
  /** Milliseconds between two looks for news. */
  every: Millis;
}

export interface DeliveryParts {
  clock: Clock;
  store: Writer;
  /** Milliseconds a withdrawal stands, by journal. */
  keepOf(journal: string): number;
  /** Never throws. */
  report(error: unknown): void;
  signal: AbortSignal;
}

const LONGEST_WAIT_MS = 300_000;

/** All of one sink: looks for news, waits out failures, and takes orders one at a time. */
export class Delivery {
  readonly #sink: ConfiguredSink;
  readonly #parts: DeliveryParts;
  #failures = 0;
  #error: SinkStatus['error'] = null;
  /** Milliseconds, by the target's Retry-After (RFC 9110 section 10.2.3). */
  #askedToWait = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #progress: { done: number; total: number } | null = null;
  /** What the configuration no longer names was taken out since this began. */
  #isTidy = false;

  constructor(sink: ConfiguredSink, parts: DeliveryParts) {
    this.#sink = sink;
    this.#parts = parts;
  }

  /** Delivers until aborted. A target that is down is asked ever more rarely, and nothing else waits for it. */
  async run(): Promise<void> {
    const { clock, signal, report } = this.#parts;
    while (!signal.aborted) {
      await this.once().catch((error: unknown) => {
        if (!signal.aborted && !(error instanceof GatewayError)) report(error);
      });
      const backoff = Math.max(this.#askedToWait, Math.min(LONGEST_WAIT_MS, waitFor(this.#failures) * 4));
      await clock.sleep(this.#failures === 0 ? this.#sink.every : backoff, signal).catch(() => undefined);
    }
  }

  /** Brings every collection up to date. Throws what the first that failed threw, after all were tried. */
  async once(): Promise<DeliveryReport> {
    return this.#inTurn((collection) => deliver(this.#partsOf(collection)));
  }

  async rebuild(): Promise<DeliveryReport> {
    this.#isTidy = false;
    const begun = { done: 0, total: 0 };
    const report = this.#inTurn((collection) => {
      const { done: before, total: all } = begun;
      this.#progress = begun;
      const progress = (done: number, total: number): void => {
        this.#progress = Object.assign(begun, { done: before + done, total: all + total });
      };
      return rebuild({ ...this.#partsOf(collection), progress });
    });
    return report.finally(() => {
      this.#progress = null;
    });
  }

  /** Of a rebuild under way; null when none is. */
  progress(): { done: number; total: number } | null {
    return this.#progress;
  }

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
    return this.#inTurn((collection) => redeliver(this.#partsOf(collection)));
  }

  async status(): Promise<SinkStatus> {
    const { store } = this.#parts;
    const { name, kind, collections } = this.#sink;
    const views = collections.map(async (collection) => {
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
      collections: await Promise.all(views),
      failed,
      failures: this.#failures,
      error: this.#error,
    };
  }

  async #tidy(): Promise<number> {
    if (this.#isTidy) return 0;
    const { clock, store, signal } = this.#parts;
    const { name, sink, collections, elsewhere } = this.#sink;
    const swept = await withdrawDropped({ clock, store, name, sink, signal }, collections, elsewhere);
    this.#isTidy = true;
    return swept;
  }

  #partsOf(collection: DeliveredCollection) {
    const { clock, store, signal, keepOf } = this.#parts;
    const { name, sink } = this.#sink;
    return { clock, store, name, sink, collection, keep: keepOf(collection.journal), signal };
  }

  /** One order at a time: two pushes of the same entries would only get in each other's way. */
  async #inTurn(order: (collection: DeliveredCollection) => Promise<DeliveryReport>): Promise<DeliveryReport> {
    const mine = this.#turn.then(() => this.#all(order));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #all(order: (collection: DeliveredCollection) => Promise<DeliveryReport>): Promise<DeliveryReport> {
    const total: DeliveryReport = { written: 0, unchanged: 0, refused: 0, swept: 0 };
    let failure: unknown = null;
    try {
      total.swept += await this.#tidy();
    } catch (error) {
      if (this.#parts.signal.aborted) throw error;
      failure = error;
    }
    for (const collection of this.#sink.collections) {
      try {
        const report = await order(collection);
        for (const key of Object.keys(total) as (keyof DeliveryReport)[]) total[key] += report[key];
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
    const asked = failure instanceof GatewayError ? (failure.retryAfter ?? 0) : 0;
    this.#askedToWait = Math.min(LONGEST_WAIT_MS, asked * 1000);
    this.#error = toldOf(failure, this.#parts.clock.now());
    throw failure;
  }
}

/** Every request that sets a target up, those among them that are left to its administrator. */
export function shownSetup(sink: Sink): SetupReport[] {
  return sink.setup().map(({ name, method, path, body }) => ({ name, method, path, body, outcome: null }));
}

function toldOf(error: unknown, at: Micros): NonNullable<SinkStatus['error']> {
  if (error instanceof GatewayError) return { code: error.code, message: error.message, at };
  return { code: 'internal', message: 'It failed in an unforeseen way; the log says how.', at };
}

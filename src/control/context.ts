import type { Config } from '../config/config.ts';
import type {
  EndedVerdicts,
  ListedVerdicts,
  NewVerdict,
  VerdictList,
  VerdictReport,
} from '../model/analyst-verdict.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { DeliveryReport, PollReport, ReadProgress, SetupReport, SinkStatus, TryReport } from '../model/control.ts';
import type { AskedType, ExplainReport } from '../model/explain.ts';
import type { PlanReport } from '../model/plan.ts';
import type { Client, DeadLetter } from '../model/state.ts';
import type { Writer } from '../store/store.ts';

/** What the verbs act on. The writing thread has it. */
export interface VerbContext {
  config: Config;
  clock: Clock;
  store: Writer;
  startedAt: Micros;
  /**
   * Polls a feed now. `acceptShrink`: a snapshot is taken whatever its size. Throws `not-found`, and `unprocessable` for a feed that is
   * idle.
   */
  poll(feed: string, acceptShrink: boolean): Promise<PollReport>;
  /** Reads a feed without writing what it says. Throws as `poll`. */
  tryFeed(feed: string, rows: number): Promise<TryReport>;
  /** How far a poll or try of the feed has come; null: none is under way. */
  readProgress(feed: string): ReadProgress | null;
  /** Tells which feeds say a value and what becomes of it. Writes nothing. */
  explain(ioc: string, type: AskedType): Promise<ExplainReport>;
  /** What this configuration file would change for readers. Writes nothing. Throws `config-invalid`. */
  plan(path: string): Promise<PlanReport>;
  verdicts: VerdictVerbs;
  sinks: SinkVerbs;
  /** Called with all clients after one of them has changed. */
  onClients(clients: Client[]): void;
}

/** Verdicts of analysts. Each throws `unprocessable` for a value that can't be read. */
export interface VerdictVerbs {
  /** Readers are told in the same commit. Throws `not-found` for a pool, `unprocessable` for dates and where a pool has to be named. */
  give(verdict: NewVerdict): Promise<VerdictReport>;
  /** Likewise. Throws `not-found` where none stands. */
  end(verdicts: EndedVerdicts): Promise<VerdictReport>;
  list(query: ListedVerdicts): Promise<VerdictList>;
}

/** Each throws `not-found` for a sink that is not configured or switched off, `sink-unavailable` and `sink-refused`. */
export interface SinkVerbs {
  status(): Promise<SinkStatus[]>;
  setUp(sink: string, isDryRun: boolean): Promise<SetupReport[]>;
  deadLetters(sink: string, limit: number): Promise<DeadLetter[]>;
  retry(sink: string): Promise<DeliveryReport>;
  rebuild(sink: string): Promise<DeliveryReport>;
  /** Entries that a rebuild under way has delivered, of about how many. Null when none is under way. */
  rebuildProgress(sink: string): { done: number; total: number } | null;
}

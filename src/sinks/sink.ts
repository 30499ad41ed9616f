import type { TSchema } from 'typebox';
import type { Clock, Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import type { JsonObject } from '../model/json.ts';
import type { Tlp } from '../model/tlp.ts';
import type { TlpVersion } from '../stix/marking.ts';

/**
 * The contract of a sink: a target that journal entries are pushed to. Delivery (delivery/deliver.ts) reads the journal, keeps
 * the checkpoint and repeats what failed; a sink writes what it is given and tells of each entry what became of it.
 * test/contracts/sink.contract.ts is the proof each kind runs.
 */
export interface SinkKind<Options = any> {
  name: string;
  /** One line for the docs. */
  title: string;
  /** The kind's own keys under `sinks.NAME` (TypeBox object); the common keys are the gateway's. */
  options: TSchema;
  /** What speaks against the options as a whole. Throws `config-invalid`. */
  check(options: Options): void;
  /** Nothing is contacted before the first push. */
  open(context: SinkContext<Options>): Sink;
}

export interface SinkContext<Options> {
  name: string;
  options: Options;
  /** Relative paths start here. */
  base: string;
  /** The producing identity of every object that is issued here. */
  identityId: string;
  clock: Clock;
  userAgent: string;
}

export interface SinkCollection {
  alias: string;
  title: string;
  /** Its ceiling. */
  tlp: Tlp;
  /** Whose intelligence it is, as ECS `threat.feed.*` words it. */
  feed: { name: string; reference: string | null; description: string | null };
  /** The version of TLP whose markings its STIX refers to; absent: 2. */
  tlpVersion?: TlpVersion;
}

export interface Sink {
  /** What the target is, in a text without secrets: when it changes, everything is delivered anew. */
  targetId: string;
  /**
   * `live`: one document per observable, and a withdrawal takes it out. `versions`: every version is kept beside the others,
   * withdrawals among them.
   */
  holds: 'live' | 'versions';
  /** Pushes of one collection that may be under way at a time, in whatever order they arrive; 1 where order matters. */
  atOnce: number;
  /** What has to be there before the first push, in order. */
  setup(): SetupStep[];
  /** Runs one step; doing it again changes nothing. Answers in a word what was done. Throws as `push`. */
  install(step: SetupStep, signal: AbortSignal): Promise<string>;
  /**
   * Writes entries, ascending by dateAdded and, for `live`, one per observable. Doing it again changes nothing.
   * Throws GatewayError `sink-unavailable` when the target can't be reached or asks to wait, `sink-refused` when it will not
   * have any of it until somebody mends that, and NothingTaken (either code) when it may be these entries' fault. `anew`: an
   * entry must stand afterwards as it is written now, even where the target has this very version or remembers having removed it.
   */
  push(
    collection: SinkCollection,
    entries: readonly IndicatorEntry[],
    signal: AbortSignal,
    anew?: boolean,
  ): Promise<PushReport>;
  /**
   * Null: what was written once stays good. Else: does a live entry that was last written by `since` need to be written again by
   * `now`, though nothing about it changed? Both in microseconds.
   */
  needsRenewal: ((entry: IndicatorEntry, since: Micros, now: Micros) => boolean) | null;
  /** `live` only: does it hold nothing of the collection? Throws as `push`. */
  isEmpty(collection: Pick<SinkCollection, 'alias'>, signal: AbortSignal): Promise<boolean>;
  /**
   * `live` only: takes out what is held of the collection without being live, whatever became of the checkpoint. `isLive`
   * answers for a list of STIX ids. Answers how many left. Throws as `push`.
   */
  sweep(
    collection: Pick<SinkCollection, 'alias'>,
    isLive: (objectIds: readonly string[]) => Promise<ReadonlySet<string>>,
    signal: AbortSignal,
  ): Promise<number>;
  close(): Promise<void>;
}

/** One request that sets a target up, told by `sluice sink setup --dry-run` as it would be sent. */
export interface SetupStep {
  name: string;
  method: 'PUT' | 'POST';
  path: string;
  body: JsonObject;
  /** Tried in turn where the target lacks what the step before it asks for. */
  otherwise?: JsonObject[];
  /** Shown by a dry run for whoever administers the target, never sent: what the sink's own credentials need. */
  byHand?: true;
  /** Targets without the feature still work, in the way that this says. */
  without?: string;
}

export interface PushReport {
  /** New to the target, or changed there. */
  written: number;
  /** The target had it already. */
  unchanged: number;
  /** Refused for good, each with its reason in a line. */
  refused: { entry: IndicatorEntry; reason: string }[];
  /** Not taken now; to be given again after a while. `isBusy`: the target says that it is its own state, not the entry. */
  later: { entry: IndicatorEntry; reason: string; isBusy: boolean }[];
}

/** The target answered a push and took nothing of it. It may be down behind whoever answered, or one of the entries is to blame. */
export class NothingTaken extends GatewayError {}

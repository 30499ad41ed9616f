import type { TSchema } from 'typebox';
import type { Clock, Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import type { JsonObject } from '../model/json.ts';
import type { Tlp } from '../model/tlp.ts';
import type { TlpVersion } from '../stix/marking.ts';

/**
 * The contract of a sink: a target that journal entries are pushed to. Delivery (delivery/deliver.ts) reads the journal, saves
 * the checkpoint and retries. A sink writes the entries it is given and reports the result of each.
 * Every kind runs test/contracts/sink.contract.ts.
 */
export interface SinkKind<Options = any> {
  name: string;
  /** One line for the docs. */
  title: string;
  /** The kind's own keys under `sinks.NAME` (TypeBox object); the common keys are the gateway's. */
  options: TSchema;
  /** Checks the options as a whole. Throws `config-invalid`. */
  check(options: Options): void;
  /** Opens a sink. The target is not contacted before the first call of one of its methods. */
  open(context: SinkContext<Options>): Sink;
}

export interface SinkContext<Options> {
  name: string;
  options: Options;
  /** Directory of the configuration file: relative paths start there. */
  base: string;
  /** The producing identity of every object that is issued here. */
  identityId: string;
  /** The identity itself, as a JSON text; none before the first journal is made. */
  producer(): Promise<string[]>;
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
  /** Identifies the target, without secrets. When it changes, everything is delivered again. */
  targetId: string;
  /**
   * `live`: one document per observable, and a withdrawal takes it out. `versions`: every version is kept beside the others,
   * withdrawals among them.
   */
  holds: 'live' | 'versions';
  /** How many pushes of one collection may run at a time; they may arrive in any order. 1 where order matters. */
  concurrency: number;
  /** The steps that the target needs before the first push, in order. */
  setup(): SetupStep[];
  /** Runs one step and returns what was done, for people. Running it again changes nothing. Throws as `push`. */
  install(step: SetupStep, signal: AbortSignal): Promise<string>;
  /**
   * Writes entries, ascending by dateAdded and, for `live`, one per observable. Writing them again changes nothing.
   * Throws GatewayError `sink-unavailable` when the target can't be reached or asks to wait, `sink-refused` when it takes nothing
   * until an administrator acts, and PushRejected (either code) when one of the entries may be the reason. `overwrite`: writes an
   * entry even where the target has this version or remembers that it deleted it.
   */
  push(
    collection: SinkCollection,
    entries: readonly IndicatorEntry[],
    signal: AbortSignal,
    overwrite?: boolean,
  ): Promise<PushReport>;
  /**
   * Returns whether a live entry that was written at `since` has to be written again at `now` although it did not change (both in
   * microseconds). Null: never.
   */
  needsRenewal: ((entry: IndicatorEntry, since: Micros, now: Micros) => boolean) | null;
  /** `live` only: true when the target holds nothing of the collection. Throws as `push`. */
  isEmpty(collection: Pick<SinkCollection, 'alias'>, signal: AbortSignal): Promise<boolean>;
  /**
   * `live` only: removes what the target holds of the collection and is not live, and returns how many documents. `isLive`
   * returns those of some STIX ids that are live. Throws as `push`.
   */
  sweep(
    collection: Pick<SinkCollection, 'alias'>,
    isLive: (objectIds: readonly string[]) => Promise<ReadonlySet<string>>,
    signal: AbortSignal,
  ): Promise<number>;
  close(): Promise<void>;
}

/** One request that sets a target up. `sluice sink setup --dry-run` prints it as it would be sent. */
export interface SetupStep {
  name: string;
  method: 'PUT' | 'POST';
  path: string;
  body: JsonObject;
  /** Bodies tried in turn where the target lacks a feature that the one before asks for. */
  otherwise?: JsonObject[];
  /** Never sent, only printed by a dry run for the target's administrator: the role or key of the sink itself. */
  byHand?: true;
  /** Set where a target works without the feature: what to do then, for people. */
  without?: string;
}

export interface PushReport {
  /** Entries that were new to the target or changed there. */
  written: number;
  /** Entries that the target had already. */
  unchanged: number;
  /** Refused for good, each with its reason in one line. They become dead letters. */
  refused: { entry: IndicatorEntry; reason: string }[];
  /** Not taken now, to be retried. `isBusy`: the target says that its own state is the reason, not the entry. */
  later: { entry: IndicatorEntry; reason: string; isBusy: boolean }[];
}

/** The target answered a push and took nothing of it: it may be down behind a proxy, or one of the entries is the reason. */
export class PushRejected extends GatewayError {}

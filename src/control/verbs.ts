import Type, { type Static, type TSchema } from 'typebox';
import { observableTypes } from '../model/observable.ts';
import { readRejections, readStatus } from '../status/status.ts';
import { addClient, newClientSchema, revokeClient } from './clients.ts';
import type { VerbContext } from './context.ts';
import { endedVerdictsSchema, listedVerdictsSchema, newVerdictSchema } from './verdicts.ts';

type ArgumentsOf<Takes extends TSchema[]> = { [I in keyof Takes]: Static<Takes[I]> };

export interface Verb<Takes extends TSchema[], Result> {
  /** A schema for each argument. What comes through the socket or HTTP is checked by them. */
  takes: [...Takes];
  run(context: VerbContext, ...args: ArgumentsOf<Takes>): Promise<Result>;
}

function verb<Takes extends TSchema[], Result>(
  takes: [...Takes],
  run: Verb<Takes, Result>['run'],
): Verb<Takes, Result> {
  return { takes, run };
}

/** Of a feed, a sink or a client. */
export const nameSchema = Type.String({ maxLength: 256 });
/** A value that somebody asks about, in any spelling. */
export const askedSchema = Type.String({ minLength: 1, maxLength: 8192 });
const askedTypeSchema = Type.Union([Type.Null(), Type.Enum([...observableTypes])]);
/** Rows that one answer may hold. */
export const MAX_ROWS = 10_000;
const limitSchema = Type.Integer({ minimum: 0, maximum: MAX_ROWS });

/**
 * Every verb that an operator may use on the gateway. The control socket, the calls between threads and the type `Control` follow
 * from this table: a new verb is one row here, and the command or route that uses it.
 * Arguments and results are plain JSON, for they cross a thread and a socket. Verbs throw GatewayError.
 */
export const verbs = {
  /** Polls a feed now, as far as its account's budget allows. */
  poll: verb([nameSchema], (context, feed) => context.poll(feed, false)),
  /** The same, and this once a snapshot is taken whatever its size. */
  acceptShrink: verb([nameSchema], (context, feed) => context.poll(feed, true)),
  /** Reads a feed as a poll does, within the same budget, shows that many rows, and writes none. */
  tryFeed: verb([nameSchema, limitSchema], (context, feed, rows) => context.tryFeed(feed, rows)),
  readProgress: verb([nameSchema], async (context, feed) => context.readProgress(feed)),
  status: verb([], readStatus),
  /** Rows of a feed that were refused, and rows that are held and not served; up to `limit` of each. Throws `not-found`. */
  rejections: verb([nameSchema, limitSchema], readRejections),
  /** Which feeds say a value, what becomes of it in each collection and why, and what readers were told. Type null: as its form shows. */
  explain: verb([askedSchema, askedTypeSchema], (context, ioc, type) => context.explain(ioc, type)),
  /** What this configuration file would add to collections and withdraw from them. Throws `config-invalid`. */
  plan: verb([Type.String({ maxLength: 4096 })], (context, path) => context.plan(path)),
  /** Gives a verdict of an analyst, ends those on a value, lists them. Throws as VerdictVerbs say. */
  giveVerdict: verb([newVerdictSchema], ({ verdicts }, verdict) => verdicts.give(verdict)),
  endVerdicts: verb([endedVerdictsSchema], ({ verdicts }, ended) => verdicts.end(ended)),
  listVerdicts: verb([listedVerdictsSchema(MAX_ROWS)], ({ verdicts }, query) => verdicts.list(query)),
  /** Throws `unprocessable` when the name or a certificate is taken, or a collection is unknown. */
  addClient: verb([newClientSchema], addClient),
  listClients: verb([], ({ store }) => store.clients()),
  /** Its keys and certificates stop within a second. Throws `not-found`. */
  revokeClient: verb([nameSchema], revokeClient),
  /** Sets a sink's target up, or only shows the requests (dry run). */
  setUpSink: verb([nameSchema, Type.Boolean()], ({ sinks }, sink, isDryRun) => sinks.setUp(sink, isDryRun)),
  /** The first entries that a sink's target refused for good. */
  deadLetters: verb([nameSchema, limitSchema], ({ sinks }, sink, limit) => sinks.deadLetters(sink, limit)),
  /** Delivers once more what a sink's target refused. */
  retrySink: verb([nameSchema], ({ sinks }, sink) => sinks.retry(sink)),
  /** Delivers all live entries anew and removes everything else from the target. */
  rebuildSink: verb([nameSchema], ({ sinks }, sink) => sinks.rebuild(sink)),
  rebuildProgress: verb([nameSchema], async ({ sinks }, sink) => sinks.rebuildProgress(sink)),
};

type Verbs = typeof verbs;
export type VerbName = keyof Verbs;

/** The verbs as functions, wherever they are run: here, in the writing thread, or in a server behind its socket. */
export type Control = {
  [Name in VerbName]: Verbs[Name] extends Verb<infer Takes, infer Result>
    ? (...args: ArgumentsOf<Takes>) => Promise<Result>
    : never;
};

/** A Control whose every verb goes through `call`. */
export function controlThrough(call: (verb: VerbName, args: unknown[]) => Promise<unknown>): Control {
  const names = Object.keys(verbs) as VerbName[];
  const functions = names.map((name) => [name, (...args: unknown[]) => call(name, args)] as const);
  return Object.fromEntries(functions) as unknown as Control;
}

/** The verbs, run right here. */
export function controlOf(context: VerbContext): Control {
  return controlThrough((name, args) => {
    const { run } = verbs[name] as Verb<TSchema[], unknown>;
    return run(context, ...args);
  });
}

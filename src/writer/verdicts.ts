import type { Config } from '../config/config.ts';
import type { VerdictVerbs } from '../control/context.ts';
import type { AnalystVerdict, NewVerdict } from '../model/analyst-verdict.ts';
import type { Clock, Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { type Observable, type ObservableType, observableKey } from '../model/observable.ts';
import { readAsked } from '../normalise/asked.ts';
import { endVerdicts, giveVerdict } from '../publish/analyst-verdicts.ts';
import type { Journals } from '../publish/journals.ts';
import { MAX_STANDING_VERDICTS } from '../store/limits.ts';
import type { Transaction, Writer } from '../store/store.ts';

export interface VerdictParts {
  clock: Clock;
  writer: Writer;
  journals: Journals;
  /** Until journals are what the configuration says. */
  ready(): Promise<void>;
  /** Readers were told something: what is pushed to targets is on its way at once. */
  onPublished(): void;
}

/** Verdicts that stand on one value: of each pool, those on two questions. */
const MOST_ON_VALUE = 10_000;

/** Verdicts of analysts, as operators give, end and list them. */
export function openVerdicts(
  { pools }: Pick<Config, 'pools'>,
  { clock, writer, journals, ready, onPublished }: VerdictParts,
): VerdictVerbs {
  const feedsSaying = async (tx: Transaction, names: readonly string[], { key }: { key: string }) => {
    const feeds = new Set(pools.filter(({ name }) => names.includes(name)).flatMap((pool) => pool.feeds));
    return (await tx.observations([...feeds], [key])).map(({ feed }) => feed).sort();
  };
  return {
    async give(asked) {
      const now = clock.now();
      const observable = readValue(asked.ioc, asked.type);
      const chosen = choosePools(
        pools.map(({ name }) => name),
        asked,
      );
      const given = { ...datesOf(asked, now), key: observableKey(observable), observable };
      await ready();
      const published = { entries: 0, withdrawn: 0 };
      const report = await writer.transaction(async (tx) => {
        const verdicts: AnalystVerdict[] = [];
        for (const pool of chosen) {
          if ((await tx.countAnalystVerdicts(pool)) >= MAX_STANDING_VERDICTS) throw tooMany(pool);
          verdicts.push(await giveVerdict(tx, journals, { ...given, pool }, published));
        }
        return { verdicts, feeds: await feedsSaying(tx, chosen, given) };
      });
      if (published.entries > 0) onPublished();
      return { ...report, ...published };
    },

    async end({ ioc, type, kind, by, pool, allPools = false }) {
      const observable = readValue(ioc, type);
      const key = observableKey(observable);
      await ready();
      const published = { entries: 0, withdrawn: 0 };
      const report = await writer.transaction(async (tx) => {
        const query = { pool: pool ?? null, keys: [key], withEnded: false, before: null, limit: MOST_ON_VALUE };
        const verdicts = (await tx.analystVerdicts(query)).filter((one) => kind === undefined || one.kind === kind);
        if (verdicts.length === 0)
          throw new GatewayError('not-found', `${noneOf(kind)} stands on ${nameOf(observable)}.`);
        const names = [...new Set(verdicts.map((one) => one.pool))].sort();
        if (names.length > 1 && !allPools) throw ambiguous('It stands in several pools', names);
        const at = clock.now();
        await endVerdicts(tx, journals, verdicts, { at, by }, published);
        const ended = verdicts.map((one) => ({ ...one, ended: { at, by } }));
        return { verdicts: ended, feeds: await feedsSaying(tx, names, { key }) };
      });
      if (published.entries > 0) onPublished();
      return { ...report, ...published };
    },

    async list({ ioc, type, pool = null, withEnded, before = null, limit }) {
      const keys = ioc === undefined ? null : [observableKey(readValue(ioc, type))];
      // One more tells whether there is a page behind this one.
      const found = await writer.analystVerdicts({ pool, keys, withEnded, before, limit: limit + 1 });
      const verdicts = found.slice(0, limit);
      return { verdicts, next: found.length > limit ? (verdicts.at(-1)?.id ?? null) : null };
    },
  };
}

function readValue(ioc: string, type: ObservableType | undefined): Observable {
  const { observable, unreadable } = readAsked(ioc, type ?? null);
  if (observable !== null) return observable;
  throw new GatewayError('unprocessable', `${ioc.slice(0, 200)} can't be read as a value: ${unreadable}.`);
}

function choosePools(names: readonly string[], { pool, allPools = false }: NewVerdict): readonly string[] {
  if (pool !== undefined && allPools) throw new GatewayError('unprocessable', 'Either one pool is meant or all are.');
  if (pool === undefined) {
    if (names.length === 0) throw new GatewayError('unprocessable', 'The configuration has no pool.');
    if (names.length > 1 && !allPools) throw ambiguous('There are several pools', names);
    return names;
  }
  if (!names.includes(pool)) throw new GatewayError('not-found', `No pool is called ${pool}.`);
  return [pool];
}

/** All of a verdict but its pool and its value. */
function datesOf({ kind, by, note, seenAt, until }: NewVerdict, now: Micros) {
  if (until !== undefined && until <= now) {
    throw new GatewayError('unprocessable', 'The end of a verdict must lie ahead.');
  }
  if (seenAt !== undefined && kind !== 'sighted') {
    throw new GatewayError('unprocessable', 'Only what is sighted has a time when it was seen.');
  }
  if (seenAt !== undefined && seenAt > now) throw new GatewayError('unprocessable', 'It was seen in the future.');
  return {
    kind,
    by,
    note: note ?? null,
    at: now,
    seenAt: kind === 'sighted' ? (seenAt ?? now) : null,
    until: until ?? null,
  };
}

function ambiguous(what: string, names: readonly string[]): GatewayError {
  return new GatewayError('unprocessable', `${what}: ${names.join(', ')}. Name one, or say that all are meant.`);
}

function tooMany(pool: string): GatewayError {
  return new GatewayError(
    'unprocessable',
    `${MAX_STANDING_VERDICTS} verdicts stand in the pool ${pool}, which is as many as there may be: end some, or suppress by a list.`,
  );
}

function noneOf(kind: string | undefined): string {
  return kind === undefined ? 'No verdict' : `No verdict ${kind}`;
}

function nameOf({ type, value }: Observable): string {
  return `${type} ${value.slice(0, 200)}`;
}

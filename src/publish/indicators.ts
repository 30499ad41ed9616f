import type { Micros } from '../model/clock.ts';
import type { Claim, IndicatorEntry, WithdrawalReason } from '../model/entry.ts';
import type { Observable, ObservableKey } from '../model/observable.ts';
import type { LeftOut, LeftOutReason } from '../model/served.ts';
import type { AppendEntry, Transaction } from '../store/store.ts';
import { type Assessment, assessRuled, type Rulings, readRulings } from './analysts.ts';
import type { Changes, Published } from './changes.ts';
import { type Issue, issue, materialOf, tombstone } from './issue.ts';
import type { JournalContext } from './journals.ts';
import { dueOf, needsRenewal, reissueAt, validUntilOf } from './lifetime.ts';
import { resolveMarkings } from './markings.ts';
import { membershipOf } from './membership.ts';
import { type FeedObservation, type LeftOutObservation, type Merged, merge } from './merge.ts';
import { withSuppressFeeds } from './suppress-feeds.ts';

/** Brings one journal up to date with changed observables: indicators that are new, changed, renewed, re-issued or withdrawn. */
export async function publishIndicators(
  tx: Transaction,
  context: JournalContext,
  { keys, latest }: Changes,
  now: Micros,
): Promise<Published> {
  if (keys.length === 0) return { entries: 0, withdrawn: 0 };
  const live = await readLive(tx, context, keys);
  return decideAndAppend(tx, context, keys, await readObservations(tx, context, keys, latest), live, now);
}

/** The live entries of the journal on these observables, by key. */
export async function readLive(
  tx: Transaction,
  { definition }: JournalContext,
  keys: readonly ObservableKey[],
): Promise<Map<ObservableKey, IndicatorEntry>> {
  return new Map((await tx.liveEntries(definition.name, keys)).map((entry) => [entry.key, entry]));
}

/** What the pool's feeds say on these observables: what one says as it was handed over (`latest`), all else from the store. */
export async function readObservations(
  tx: Transaction,
  { feeds }: JournalContext,
  keys: readonly ObservableKey[],
  latest?: Changes['latest'],
): Promise<Map<ObservableKey, FeedObservation[]>> {
  const byKey = new Map<ObservableKey, FeedObservation[]>();
  const others = [...feeds.keys()].filter((feed) => feed !== latest?.feed);
  for (const { feed, ...observation } of await tx.observations(others, keys)) {
    addObservation(byKey, { feed, observation });
  }
  if (latest === undefined) return byKey;
  for (const key of keys) {
    const observation = latest.observations.get(key);
    if (observation) addObservation(byKey, { feed: latest.feed, observation });
  }
  return byKey;
}

export function addObservation(byKey: Map<ObservableKey, FeedObservation[]>, one: FeedObservation): void {
  const before = byKey.get(one.observation.key);
  if (before === undefined) byKey.set(one.observation.key, [one]);
  else before.push(one);
}

/** Decides about each observable, now that all that is said of it is known, and writes what follows. */
export async function decideAndAppend(
  tx: Transaction,
  context: JournalContext,
  keys: readonly ObservableKey[],
  observations: ReadonlyMap<ObservableKey, readonly FeedObservation[]>,
  live: ReadonlyMap<ObservableKey, IndicatorEntry>,
  now: Micros,
): Promise<Published> {
  const {
    name,
    pool,
    policy: { suppressFeeds },
  } = context.definition;
  const resolved = isMarked(observations) ? await resolveMarkings(tx, observations) : observations;
  const rulings = context.isRuled ? await readRulings(tx, pool, keys, resolved, now) : null;
  const listed =
    suppressFeeds === undefined
      ? context
      : await withSuppressFeeds(tx, context, suppressFeeds, observablesOf(resolved));
  const decided: Decided = { steps: [], dues: [], leftOut: [], lapsed: new Set() };
  for (const key of keys) {
    decide(key, resolved.get(key) ?? NOTHING, live.get(key) ?? null, listed, rulings, now, decided);
  }
  if (decided.dues.length > 0) await tx.setDue(name, decided.dues);
  for (const feed of decided.lapsed) await tx.saveFeedState(feed, { lapsedAt: now });
  await tx.judge(name, keys, decided.leftOut);
  return append(tx, context, decided.steps, now);
}

function* observablesOf(observations: ReadonlyMap<ObservableKey, readonly FeedObservation[]>): Generator<Observable> {
  for (const [first] of observations.values()) if (first !== undefined) yield first.observation.observable;
}

/** Only what came as STIX has properties of its own, and markings among them. */
function isMarked(observations: ReadonlyMap<ObservableKey, readonly FeedObservation[]>): boolean {
  for (const all of observations.values()) {
    if (all.some(({ observation }) => observation.kept !== null)) return true;
  }
  return false;
}

const NOTHING: readonly FeedObservation[] = [];

/** What follows from deciding about observables. */
interface Decided {
  steps: Step[];
  /** Entries that stay as they are and are to be looked at again at another time. */
  dues: { dateAdded: Micros; due: Micros | null }[];
  leftOut: LeftOut[];
  /** Feeds of whose observations the lifetime is over or held. */
  lapsed: Set<string>;
}

type Step =
  | { do: 'issue'; issue: Issue; replaces: IndicatorEntry | null }
  /** A new generation, and right behind it the tombstone of the old one. */
  | { do: 'reissue'; issue: Issue; old: IndicatorEntry }
  | { do: 'withdraw'; old: IndicatorEntry; reason: WithdrawalReason };

function decide(
  key: ObservableKey,
  observations: readonly FeedObservation[],
  live: IndicatorEntry | null,
  context: JournalContext,
  rulings: Rulings | null,
  now: Micros,
  { steps, dues, leftOut, lapsed }: Decided,
): void {
  const { definition } = context;
  const result = assess(key, observations, context, rulings, now, lapsed);
  const { member } = result;
  const refused = member !== null && 'leftOut' in member ? member.leftOut : null;
  if (refused !== null || result.leftOut.length > 0) {
    leftOut.push(...leftOutOf(key, observations, result.leftOut, refused));
  }
  if (member === null || 'leftOut' in member) {
    const reason = refused ?? (live === null ? 'vanished' : withdrawalReasonOf(live, result.leftOut, context));
    if (live !== null) steps.push({ do: 'withdraw', old: live, reason });
    return;
  }
  const { as, merged } = member;
  const material = materialOf(as, merged);
  const wanted: Issue = { key, as, merged, material, previous: null };
  if (live === null) {
    steps.push({ do: 'issue', issue: wanted, replaces: null });
    return;
  }
  const isElastic = definition.profile === 'elastic-agent';
  const end = validUntilOf(definition.profile, merged.validUntil, now);
  const isChanged = material.fingerprint !== live.fingerprint || isSighted(live, merged, result.seenAt);
  if (isChanged || needsRenewal(live, end, now) || (isElastic && now >= reissueAt(live))) {
    // Elastic drops later versions of an id, so there every change is a new indicator.
    if (isElastic) steps.push({ do: 'reissue', issue: wanted, old: live });
    else steps.push({ do: 'issue', issue: { ...wanted, previous: live }, replaces: live });
    return;
  }
  const { changesAt } = merged;
  const comesSooner = [end, changesAt].some((at) => at !== null && (live.due === null || at < live.due));
  if (comesSooner || (live.due !== null && live.due <= now)) {
    dues.push({ dateAdded: live.dateAdded, due: dueOf(definition.profile, live, { validUntil: end, changesAt }, now) });
  }
}

/** What the journal makes of what is said of one observable. `rulings` null: no analyst says anything in the pool. */
export function assess(
  key: ObservableKey,
  observations: readonly FeedObservation[],
  context: JournalContext,
  rulings: Rulings | null,
  now: Micros,
  lapsed?: Set<string>,
): Assessment {
  if (rulings !== null) return assessRuled(key, observations, context, rulings, now, lapsed);
  const { merged, leftOut } = merge(observations, context, now, lapsed);
  return { merged, leftOut, member: merged === null ? null : membershipOf(merged, context, now), seenAt: null };
}

/** Has an analyst seen it since readers were told when it was last seen? */
function isSighted(live: IndicatorEntry, merged: Merged, seenAt: Micros | null): boolean {
  return seenAt !== null && (live.lastSeen ?? 0) < seenAt && seenAt <= (merged.lastSeen ?? 0);
}

/** Observations that don't count, each with its reason; where the journal refuses the merged indicator, the others with that. */
function leftOutOf(
  key: ObservableKey,
  observations: readonly FeedObservation[],
  leftOut: readonly LeftOutObservation[],
  refused: LeftOutReason | null,
): LeftOut[] {
  return observations.flatMap(({ feed, observation, network }) => {
    // What is said of a network over it has its verdict on the network's own key.
    if (network !== undefined) return [];
    const reason = leftOut.find((one) => one.feed === feed && one.network === undefined)?.reason ?? refused;
    return reason === null ? [] : [{ feed, key, type: observation.observable.type, reason }];
  });
}

/**
 * Why nobody stands behind an indicator any more: what became of the strongest of its sources. What became of observations that
 * were never served is no reason, and may be more than readers may know.
 */
function withdrawalReasonOf(
  live: IndicatorEntry,
  leftOut: readonly LeftOutObservation[],
  { feeds }: JournalContext,
): WithdrawalReason {
  const [strongest] = JSON.parse(live.sources) as Claim[];
  if (strongest === undefined) return 'vanished';
  if (!feeds.has(strongest.feed)) return 'feed-removed';
  const { feed, network } = strongest;
  return leftOut.find((one) => one.feed === feed && one.network === network)?.reason ?? 'vanished';
}

async function append(
  tx: Transaction,
  { definition, namespace }: JournalContext,
  steps: readonly Step[],
  now: Micros,
): Promise<Published> {
  if (steps.length === 0) return { entries: 0, withdrawn: 0 };
  const count = steps.reduce((sum, step) => sum + (step.do === 'reissue' ? 2 : 1), 0);
  const dates = (await tx.stamp(definition.name, count)).values();
  const nextDate = (): Micros => dates.next().value as Micros;
  const entries: AppendEntry[] = [];
  const issueOne = (wanted: Issue, replaces: Micros | null): void => {
    entries.push({ entry: issue(wanted, definition, namespace, nextDate()), replaces });
  };
  const withdraw = (old: IndicatorEntry, reason: WithdrawalReason): void => {
    entries.push({ entry: tombstone(old, reason, definition, nextDate(), now), replaces: old.dateAdded });
  };
  let withdrawn = 0;
  for (const step of steps) {
    if (step.do === 'issue') issueOne(step.issue, step.replaces?.dateAdded ?? null);
    else if (step.do === 'reissue') {
      issueOne(step.issue, null);
      withdraw(step.old, 'reissued');
    } else {
      withdrawn += 1;
      withdraw(step.old, step.reason);
    }
  }
  await tx.append(definition.name, entries);
  return { entries: entries.length, withdrawn };
}

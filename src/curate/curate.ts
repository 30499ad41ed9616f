import type { Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { IndicatorEntry, WithdrawalReason } from '../model/entry.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import type { AppendEntry, Transaction } from '../store/store.ts';
import { type Issue, issue, tombstone } from './issue.ts';
import { dueOf, needsRenewal, reissueAt, validUntilOf } from './lifetime.ts';
import { materialOf } from './material.ts';
import { membershipOf } from './membership.ts';
import { type FeedView, merge, type Said } from './merge.ts';

/** A journal with all that deciding about it takes. */
export interface JournalView {
  definition: JournalDefinition;
  /** The pool's feeds by name. */
  feeds: ReadonlyMap<string, FeedView>;
  /** The deployment's id namespace. */
  namespace: string;
}

export interface Curated {
  /** Entries appended: live versions and tombstones. */
  entries: number;
  /** Indicators that left. */
  withdrawn: number;
}

type Step =
  | { do: 'issue'; issue: Issue; replaces: IndicatorEntry | null }
  /** A new generation first, its predecessor's tombstone right after it. */
  | { do: 'reissue'; issue: Issue; old: IndicatorEntry }
  | { do: 'withdraw'; old: IndicatorEntry; reason: WithdrawalReason };

/** What one feed has just said: of each observable what it says now, or null when it no longer says anything. */
export interface News {
  feed: string;
  observations: ReadonlyMap<ObservableKey, Observation | null>;
}

/**
 * Brings one journal up to what is now known about these observables: new, changed, renewed, re-issued or withdrawn. Doing it
 * again changes nothing. What is in the news is not read from the store once more.
 */
export async function curate(
  tx: Transaction,
  view: JournalView,
  about: readonly ObservableKey[] | News,
  now: Micros,
): Promise<Curated> {
  const news = 'observations' in about ? about : null;
  const keys = news === null ? (about as readonly ObservableKey[]) : [...news.observations.keys()];
  if (keys.length === 0) return { entries: 0, withdrawn: 0 };
  const { name } = view.definition;
  const others = await saidByOthers(tx, view, keys, news);
  const live = new Map((await tx.liveEntries(name, keys)).map((entry) => [entry.key, entry]));
  const steps: Step[] = [];
  const dues: { dateAdded: Micros; due: Micros | null }[] = [];
  const lapsed = new Set<string>();
  for (const key of keys) {
    const said = others.get(key) ?? [];
    const observation = news?.observations.get(key) ?? null;
    if (news !== null && observation !== null) said.push({ feed: news.feed, observation });
    const step = decide(key, said, live.get(key) ?? null, view, now, dues, lapsed);
    if (step !== null) steps.push(step);
  }
  for (const feed of lapsed) await tx.saveFeedState(feed, { lapsedAt: now });
  if (dues.length > 0) await tx.setDue(name, dues);
  return append(tx, view, steps);
}

function decide(
  key: ObservableKey,
  said: readonly Said[],
  live: IndicatorEntry | null,
  { definition, feeds }: JournalView,
  now: Micros,
  dues: { dateAdded: Micros; due: Micros | null }[],
  lapsed: Set<string>,
): Step | null {
  const result = merge(said, feeds, definition.policy, now, lapsed);
  const member = 'absent' in result ? result : membershipOf(result.merged, definition);
  if ('absent' in result || 'absent' in member) {
    const reason = 'absent' in member ? member.absent : 'vanished';
    return live === null ? null : { do: 'withdraw', old: live, reason };
  }
  const material = materialOf(member.as, member.said);
  const wanted: Issue = { key, as: member.as, merged: member.said, material, previous: null };
  if (live === null) return { do: 'issue', issue: wanted, replaces: null };
  const elastic = definition.profile === 'elastic-agent';
  const end = validUntilOf(definition.profile, result.merged.validUntil, now);
  const changed = material.fingerprint !== live.fingerprint;
  if (changed || needsRenewal(live, end, now) || (elastic && now >= reissueAt(live))) {
    // Elastic drops later versions of an id, so there every change is a new indicator.
    return elastic
      ? { do: 'reissue', issue: wanted, old: live }
      : { do: 'issue', issue: { ...wanted, previous: live }, replaces: live };
  }
  const { changesAt } = result.merged;
  const comesSooner = [end, changesAt].some((at) => at !== null && (live.due === null || at < live.due));
  if (comesSooner || (live.due !== null && live.due <= now)) {
    dues.push({ dateAdded: live.dateAdded, due: dueOf(definition.profile, live, { validUntil: end, changesAt }, now) });
  }
  return null;
}

async function append(
  tx: Transaction,
  { definition, namespace }: JournalView,
  steps: readonly Step[],
): Promise<Curated> {
  if (steps.length === 0) return { entries: 0, withdrawn: 0 };
  const count = steps.reduce((sum, step) => sum + (step.do === 'reissue' ? 2 : 1), 0);
  const dates = (await tx.stamp(definition.name, count)).values();
  const next = (): Micros => dates.next().value as Micros;
  const entries: AppendEntry[] = [];
  let withdrawn = 0;
  for (const step of steps) {
    if (step.do !== 'withdraw') {
      const replaces = step.do === 'issue' ? (step.replaces?.dateAdded ?? null) : null;
      entries.push({ entry: issue(step.issue, definition, namespace, next()), replaces });
    }
    if (step.do === 'reissue') {
      entries.push({ entry: tombstone(step.old, 'reissued', definition, next()), replaces: step.old.dateAdded });
    }
    if (step.do === 'withdraw') {
      withdrawn += 1;
      entries.push({ entry: tombstone(step.old, step.reason, definition, next()), replaces: step.old.dateAdded });
    }
  }
  await tx.append(definition.name, entries);
  return { entries: entries.length, withdrawn };
}

/** What the store holds of the pool's feeds, but for the one whose news these are. */
async function saidByOthers(
  tx: Transaction,
  { feeds }: JournalView,
  keys: readonly ObservableKey[],
  news: News | null,
): Promise<Map<ObservableKey, Said[]>> {
  const said = new Map<ObservableKey, Said[]>();
  const others = [...feeds.keys()].filter((feed) => feed !== news?.feed);
  for (const { feed, ...observation } of await tx.observations(others, keys)) {
    const before = said.get(observation.key);
    if (before === undefined) said.set(observation.key, [{ feed, observation }]);
    else before.push({ feed, observation });
  }
  return said;
}

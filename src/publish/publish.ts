import type { Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { Claim, IndicatorEntry, WithdrawalReason } from '../model/entry.ts';
import { type Observable, type ObservableKey, observableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import type { LeftOut } from '../model/served.ts';
import type { AppendEntry, Transaction } from '../store/store.ts';
import { addressesOfAll, isExpanded, saidOfNetworks, slices } from './expand.ts';
import { materialOf } from './fingerprint.ts';
import { type Issue, issue, tombstone } from './issue.ts';
import { dueOf, needsRenewal, reissueAt, validUntilOf } from './lifetime.ts';
import { explain } from './markings.ts';
import { membershipOf } from './membership.ts';
import { type FeedView, type MergeResult, merge, type Said } from './merge.ts';

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

export function addCurated(counts: Curated, done: Curated): void {
  counts.entries += done.entries;
  counts.withdrawn += done.withdrawn;
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
  /** What it no longer says, where a journal that hears of it expands networks: their addresses are found by it. */
  gone?: readonly Observable[];
}

/** Keys and addresses that a journal which expands networks is brought up to date with at once: a batch may hold millions. */
const EXPANDED_AT_ONCE = 1000;

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
  const { expandCidr } = view.definition.policy;
  if (expandCidr !== null) return curateExpanding(tx, view, expandCidr, keys, news, now);
  const live = await readLive(tx, view, keys);
  return settle(tx, view, keys, await gather(tx, view, keys, news), live, now);
}

/** The same in a journal that expands networks: what is said of one is told of its addresses, and of an address by all over it. */
async function curateExpanding(
  tx: Transaction,
  view: JournalView,
  expandCidr: number,
  keys: readonly ObservableKey[],
  news: News | null,
  now: Micros,
): Promise<Curated> {
  const done: Curated = { entries: 0, withdrawn: 0 };
  /** Adds what is said of the networks over these subjects; answers the keys of those networks. */
  const cover = async (said: Map<ObservableKey, Said[]>, subjects: Iterable<Observable>) => {
    const found = await saidOfNetworks(tx, [...view.feeds.keys()], subjects, expandCidr);
    for (const one of found.said) addSaid(said, one);
    return found.networks;
  };
  const bring = async (known: ReadonlyMap<ObservableKey, Observable>): Promise<void> => {
    const live = await readLive(tx, view, [...known.keys()]);
    const said = await gather(tx, view, [...known.keys()], null);
    await cover(said, known.values());
    addCurated(done, await settle(tx, view, [...known.keys()], said, live, now));
  };
  const expand = async (networks: Iterable<Observable>): Promise<void> => {
    for (const addresses of slices(addressesOfAll(networks), EXPANDED_AT_ONCE)) {
      await bring(new Map(addresses.map((address) => [observableKey(address), address])));
    }
  };
  for (const slice of slices(keys, EXPANDED_AT_ONCE)) {
    const live = await readLive(tx, view, slice);
    const said = await gather(tx, view, slice, news);
    // What is not live and that nobody says by itself is as the networks over it left it.
    const subjects = slice.flatMap((key): Observable[] => {
      const subject = said.get(key)?.[0]?.observation.observable ?? live.get(key);
      return subject === undefined ? [] : [{ type: subject.type, value: subject.value }];
    });
    const networks = subjects.filter((subject) => isExpanded(subject, expandCidr));
    const over = await cover(said, subjects);
    addCurated(done, await settle(tx, view, slice, said, live, now));
    // Where time did it: the networks over what ended ended as well, and have no entry that would come due.
    const rest = news === null ? [...over].filter((key) => !said.has(key)) : [];
    if (rest.length > 0) {
      addCurated(
        done,
        await settle(tx, view, rest, await gather(tx, view, rest, null), await readLive(tx, view, rest), now),
      );
    }
    await expand(networks);
  }
  await expand((news?.gone ?? []).filter((one) => isExpanded(one, expandCidr)));
  return done;
}

/** Decides about each key, now that all that is said of it is known, and writes what follows. */
async function settle(
  tx: Transaction,
  view: JournalView,
  keys: readonly ObservableKey[],
  gathered: ReadonlyMap<ObservableKey, readonly Said[]>,
  live: ReadonlyMap<ObservableKey, IndicatorEntry>,
  now: Micros,
): Promise<Curated> {
  const { name } = view.definition;
  const said = await explain(tx, gathered);
  const steps: Step[] = [];
  const noted: Noted = { dues: [], leftOut: [], lapsed: new Set() };
  for (const key of keys) {
    const step = decide(key, said.get(key) ?? NOTHING, live.get(key) ?? null, view, now, noted);
    if (step !== null) steps.push(step);
  }
  if (noted.dues.length > 0) await tx.setDue(name, noted.dues);
  for (const feed of noted.lapsed) await tx.saveFeedState(feed, { lapsedAt: now });
  await tx.judge(name, keys, noted.leftOut);
  return append(tx, view, steps, now);
}

/** What deciding finds beside the steps. */
interface Noted {
  dues: { dateAdded: Micros; due: Micros | null }[];
  leftOut: LeftOut[];
  /** Feeds whose lifetime for one of them is over or held back. */
  lapsed: Set<string>;
}

function decide(
  key: ObservableKey,
  said: readonly Said[],
  live: IndicatorEntry | null,
  { definition, feeds }: JournalView,
  now: Micros,
  { dues, leftOut, lapsed }: Noted,
): Step | null {
  const { merged, out } = merge(said, feeds, definition.policy, now, lapsed);
  const member = merged === null ? null : membershipOf(merged, definition);
  const absent = member !== null && 'absent' in member ? member.absent : null;
  if (absent !== null || out.length > 0) leftOut.push(...leftOutOf(key, said, out, absent));
  if (merged === null || member === null || 'absent' in member) {
    return live === null ? null : { do: 'withdraw', old: live, reason: absent ?? fateOf(live, out, feeds) };
  }
  const material = materialOf(member.as, member.said);
  const wanted: Issue = { key, as: member.as, merged: member.said, material, previous: null };
  if (live === null) return { do: 'issue', issue: wanted, replaces: null };
  const elastic = definition.profile === 'elastic-agent';
  const end = validUntilOf(definition.profile, merged.validUntil, now);
  const changed = material.fingerprint !== live.fingerprint;
  if (changed || needsRenewal(live, end, now) || (elastic && now >= reissueAt(live))) {
    // Elastic drops later versions of an id, so there every change is a new indicator.
    return elastic
      ? { do: 'reissue', issue: wanted, old: live }
      : { do: 'issue', issue: { ...wanted, previous: live }, replaces: live };
  }
  const { changesAt } = merged;
  const comesSooner = [end, changesAt].some((at) => at !== null && (live.due === null || at < live.due));
  if (comesSooner || (live.due !== null && live.due <= now)) {
    dues.push({ dateAdded: live.dateAdded, due: dueOf(definition.profile, live, { validUntil: end, changesAt }, now) });
  }
  return null;
}

/** Observations that don't count, each with its own reason, and where the merged indicator doesn't enter, all others as well. */
function leftOutOf(
  key: ObservableKey,
  said: readonly Said[],
  out: MergeResult['out'],
  absent: LeftOut['reason'] | null,
): LeftOut[] {
  return said.flatMap(({ feed, observation, network }) => {
    // What is said of a network over it has its verdict there.
    if (network !== undefined) return [];
    const reason = out.find((one) => one.feed === feed && one.network === undefined)?.reason ?? absent;
    return reason === null ? [] : [{ feed, key, type: observation.observable.type, reason }];
  });
}

/**
 * Why nobody stands behind an indicator any more: what became of the strongest that did. What others say, who were never
 * served, is no reason, and may be more than readers may know.
 */
function fateOf(live: IndicatorEntry, out: MergeResult['out'], feeds: JournalView['feeds']): WithdrawalReason {
  const [strongest] = JSON.parse(live.sources) as Claim[];
  if (strongest === undefined) return 'vanished';
  if (!feeds.has(strongest.feed)) return 'feed-removed';
  const { feed, network } = strongest;
  return out.find((one) => one.feed === feed && one.network === network)?.reason ?? 'vanished';
}

async function append(
  tx: Transaction,
  { definition, namespace }: JournalView,
  steps: readonly Step[],
  now: Micros,
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
      entries.push({ entry: tombstone(step.old, 'reissued', definition, next(), now), replaces: step.old.dateAdded });
    }
    if (step.do === 'withdraw') {
      withdrawn += 1;
      entries.push({ entry: tombstone(step.old, step.reason, definition, next(), now), replaces: step.old.dateAdded });
    }
  }
  await tx.append(definition.name, entries);
  return { entries: entries.length, withdrawn };
}

const NOTHING: readonly Said[] = [];

/** What the pool's feeds say: the news, and what the store holds of all others. */
async function gather(
  tx: Transaction,
  { feeds }: JournalView,
  keys: readonly ObservableKey[],
  news: News | null,
): Promise<Map<ObservableKey, Said[]>> {
  const said = new Map<ObservableKey, Said[]>();
  const others = [...feeds.keys()].filter((feed) => feed !== news?.feed);
  for (const { feed, ...observation } of await tx.observations(others, keys)) addSaid(said, { feed, observation });
  if (news === null) return said;
  for (const key of keys) {
    const observation = news.observations.get(key);
    if (observation) addSaid(said, { feed: news.feed, observation });
  }
  return said;
}

function addSaid(said: Map<ObservableKey, Said[]>, one: Said): void {
  const before = said.get(one.observation.key);
  if (before === undefined) said.set(one.observation.key, [one]);
  else before.push(one);
}

async function readLive(
  tx: Transaction,
  { definition }: JournalView,
  keys: readonly ObservableKey[],
): Promise<Map<ObservableKey, IndicatorEntry>> {
  return new Map((await tx.liveEntries(definition.name, keys)).map((entry) => [entry.key, entry]));
}

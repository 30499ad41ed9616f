import type { FeedDefinition } from '../model/definition.ts';
import type { Observable } from '../model/observable.ts';
import { coveringOf } from './covering.ts';
import type { Suppressor, Verdict } from './suppressor.ts';

/**
 * What a journal's suppressors and the lists of its feeds make of an observable. A feed's `suppress` list silences that feed, on what it
 * covers. Its `admit` list lifts warning lists for what that feed says.
 */

/** The first verdict of a journal's suppressors; null: none has anything against it. */
function verdictOn(observable: Observable, suppressors: readonly Suppressor[]): Verdict | null {
  for (const suppressor of suppressors) {
    const verdict = suppressor.match(observable);
    if (verdict !== null) return verdict;
  }
  return null;
}

/** Of those who say an observable: who is heard. Who is not is suppressed. */
export function whoIsHeard<T extends { feed: { definition: FeedDefinition } }>(
  observable: Observable,
  all: T[],
  suppressors: readonly Suppressor[],
): T[] {
  if (all.every(({ feed: { definition } }) => definition.suppress === undefined && definition.admit === undefined)) {
    return all;
  }
  const heard = all.filter(({ feed }) => !listsOf(feed.definition).suppresses(observable));
  const admitting = heard.filter(({ feed }) => listsOf(feed.definition).admits(observable));
  const verdict = admitting.length === 0 ? null : verdictOn(observable, suppressors);
  return verdict?.mode === 'drop' && !verdict.isFirm ? admitting : heard;
}

/** The verdict that stands where these feeds say it: warning lists have no say on what one of them admits. */
export function standingVerdict(
  observable: Observable,
  feeds: readonly (FeedDefinition | undefined)[],
  suppressors: readonly Suppressor[],
): Verdict | null {
  const verdict = verdictOn(observable, suppressors);
  if (verdict === null || verdict.isFirm) return verdict;
  return feeds.some((feed) => feed !== undefined && listsOf(feed).admits(observable)) ? null : verdict;
}

interface Lists {
  suppresses(observable: Observable): boolean;
  admits(observable: Observable): boolean;
}

/** Feeds are part of the configuration, so there are few. */
const compiled = new WeakMap<FeedDefinition, Lists>();

function listsOf(feed: FeedDefinition): Lists {
  const known = compiled.get(feed);
  if (known !== undefined) return known;
  const [suppresses, admits] = [feed.suppress, feed.admit].map(coversAny);
  const lists = { suppresses: suppresses ?? never, admits: admits ?? never };
  compiled.set(feed, lists);
  return lists;
}

const never = (): boolean => false;

function coversAny(entries: readonly string[] | undefined): (observable: Observable) => boolean {
  if (entries === undefined) return never;
  const find = coveringOf(entries);
  return (observable) => find(observable) !== null;
}

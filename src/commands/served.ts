import type { ServedReport } from '../model/control.ts';
import { UNMATCHED } from '../model/elastic.ts';
import { byReason, type LeftOutReason, leftOutReasons, type Served, type ServedKind } from '../model/served.ts';
import { formatTable } from './terminal.ts';

/** What each collection serves of each feed, what it leaves out, and what would change that. */

/** What a reason means, and what to change for somebody who wants such rows. */
const meanings: Record<LeftOutReason, string> = {
  'above-ceiling':
    "marked above the collection's `tlp`; a collection with a higher one serves them, to clients that may read it",
  revoked: 'the feed itself took them back',
  expired: "past their own `valid_until`, or not seen for the feed's `lifetime` or the collection's `max_age`",
  'false-positive': 'an analyst says so: `sluice verdict list` shows who and when',
  suppressed: 'named by `suppress` (own assets), or by a warning list: `admit` lets them pass (docs/suppression.md)',
  'type-not-taken': "the collection's `types` don't name theirs",
  'objects-not-taken':
    'STIX objects that are no indicators, and indicators whose pattern is kept as it is; a collection with `objects: all` serves them',
  'not-for-elastic': `profile elastic-agent can't match ${UNMATCHED}; a collection with \`profile: stix\` serves them`,
  'below-confidence': "less sure than the collection's `min_confidence`, or become so by the feed's `decay`",
  'too-few-sources': "said by fewer independent publishers than the collection's `sources`",
  'label-not-taken': "their labels are not those that the collection's `labels` ask for",
  'end-not-served':
    "relations to an indicator or vulnerability that the collection doesn't serve from the same feed; they come when it does",
  expanded:
    "networks that the pool's `expand_cidr` serves as their addresses, each with a label that names the network",
  superseded: 'another version of the object is served: a newer one of another feed, or what Sluice itself says',
};

const MOST_KINDS = 4;

/** A table of what feeds hold and collections serve of it, and under it what the reasons in it mean. */
export function humanServed(feeds: readonly { feed: string; served: readonly ServedReport[] }[]): string {
  const rows = feeds.flatMap(({ feed, served }) => {
    if (served.length === 0) return [[feed, '(none)', '', '', 'no collection has its pool']];
    return served.flatMap(({ collection, live, leftOut, unaccounted }) => {
      const held = live + leftOut.reduce((sum, { rows }) => sum + rows, 0) + unaccounted;
      return held === 0 ? [] : [[feed, collection, held, live, leftOutText(leftOut, unaccounted)]];
    });
  });
  const table = formatTable(['FEED', 'COLLECTION', 'HELD', 'LIVE', 'LEFT OUT'], rows);
  const all = feeds.flatMap(({ served }) => served);
  const found = new Set(all.flatMap(({ leftOut }) => leftOut.map(({ reason }) => reason)));
  const notes = leftOutReasons.filter((reason) => found.has(reason)).map((reason) => `${reason}: ${meanings[reason]}`);
  if (all.some(({ unaccounted }) => unaccounted !== 0)) notes.push(UNACCOUNTED);
  return [table.trimEnd(), ...notes.map((note) => `  ${note}`)].join('\n');
}

const UNACCOUNTED =
  'not accounted for: not decided yet while a changed configuration is being applied; otherwise a fault in Sluice, please report it';

function leftOutText(leftOut: Served['leftOut'], unaccounted: number): string {
  const parts = Object.entries(byReason(leftOut)).map(([reason, rows]) => {
    const kinds = leftOut.filter((one) => one.reason === reason);
    // Which types a profile can't carry is nowhere in the configuration.
    return `${rows} ${reason}${reason === 'not-for-elastic' ? ` (${kindsText(kinds)})` : ''}`;
  });
  if (unaccounted !== 0) parts.push(`${unaccounted} not accounted for`);
  return parts.join(', ');
}

function kindsText(kinds: readonly { kind: ServedKind; rows: number }[]): string {
  const shown = kinds.slice(0, MOST_KINDS).map(({ kind, rows }) => `${rows} ${kind}`);
  return [...shown, ...(kinds.length > MOST_KINDS ? ['...'] : [])].join(', ');
}

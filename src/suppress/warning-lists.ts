import { hash } from 'node:crypto';
import { sectionOf, type WarningMode } from '../model/definition.ts';
import { coveringOf } from './covering.ts';
import type { SuppressorKind, Verdict } from './suppressor.ts';
import type { Hit } from './warning-lists/networks.ts';
import { findListed, lists } from './warning-lists/shipped.ts';

/** Lists of what is known to be no indicator, in the modes that the policy gives them. What its `admit` list covers passes. */
export const warningLists: SuppressorKind = {
  open(journal) {
    const { warningLists: modes = {}, admit = [] } = journal.policy;
    const used = lists.map((list) => modes[list.name] ?? null);
    if (!used.some((mode) => mode !== null)) return null;
    const findAdmitted = coveringOf(admit);
    const section = sectionOf(journal);
    return {
      version: hash('sha256', JSON.stringify(lists.map((list, i) => (used[i] === null ? null : list.hash))), 'hex'),
      match(observable) {
        const listed = findListed(observable);
        if (listed.length === 0 || findAdmitted(observable) !== null) return null;
        const hits = listed.filter(({ list }) => used[list] !== null);
        return verdictOf(hits, used, section);
      },
    };
  },
};

const order: readonly WarningMode[] = ['drop', 'lower', 'tag'];

/** The verdict of the strictest list, with the labels of all. */
function verdictOf(hits: readonly Hit[], modes: readonly (WarningMode | null)[], section: string): Verdict | null {
  const modeOf = ({ list }: Hit): WarningMode => modes[list] ?? 'tag';
  const [strictest] = hits.toSorted((a, b) => order.indexOf(modeOf(a)) - order.indexOf(modeOf(b)));
  const list = strictest === undefined ? undefined : lists[strictest.list];
  if (strictest === undefined || list === undefined) return null;
  const { name, title } = list;
  const labels = hits.map((hit) => `warning-list:${lists[hit.list]?.name}`);
  return {
    mode: modeOf(strictest),
    rule: `warning list ${name}`,
    entry: strictest.entry,
    reason: `It is on the warning list “${title}” (${name}): ${strictest.entry}.`,
    admit: `To serve it all the same, add it to ${section}.admit, or set ${section}.warning_lists.${name}: tag.`,
    labels: [...new Set(labels)].sort(),
  };
}

import type { WarningList } from './list.ts';
import { type Hit, NO_HITS } from './networks.ts';

/** All `string` and `hostname` lists: one look-up for a value, and one for each name above a host name. */
export interface Names {
  findExact(value: string): readonly Hit[];
  /** Lists that name this host name or, where they take names below, one above it. */
  findHost(host: string): readonly Hit[];
}

/** Which lists hold an entry. */
interface Listed {
  itself: number[];
  withNamesBelow: number[];
}

/**
 * Names under which anybody may have one: public suffixes (`github.io`), and what LOTS lists with a dot before it (`.sharepoint.com`).
 * Such a name is listed for itself. What stands below belongs to its customers, good and bad, and is told by no list of names above.
 */
const SHARED = { 'second-level-tlds': '', 'lots-project': '.' };

export function compileNames(lists: readonly WarningList[]): Names {
  const all = new Map<string, Listed>();
  const shared = new Set<string>();
  lists.forEach(({ name: list, type, entries }, place) => {
    if (type !== 'string' && type !== 'hostname') return;
    const sign = list in SHARED ? SHARED[list as keyof typeof SHARED] : null;
    for (const entry of entries) {
      // Lists of strings name what stands below as those of host names do: with a dot before it.
      const name = entry.startsWith('.') ? entry.slice(1) : entry;
      const listed = all.get(name) ?? { itself: [], withNamesBelow: [] };
      all.set(name, listed);
      if (type === 'hostname' || name !== entry) listed.withNamesBelow.push(place);
      else listed.itself.push(place);
      if (sign !== null && entry.startsWith(sign)) shared.add(name);
    }
  });
  const hitsOf = (places: readonly number[], entry: string): Hit[] => places.map((list) => ({ list, entry }));
  return {
    findExact(value) {
      const listed = all.get(value);
      return listed === undefined ? NO_HITS : hitsOf(listed.itself, value);
    },
    findHost(host) {
      let hits = NO_HITS;
      for (let name = host; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
        const listed = all.get(name);
        if (listed === undefined) continue;
        const isShared = shared.has(name);
        if (name === host) hits = hitsOf(listed.itself, name);
        if (!isShared || name === host || host === `www.${name}`) {
          hits = [...hits, ...hitsOf(listed.withNamesBelow, name)];
        }
        if (isShared) break;
      }
      return hits;
    },
  };
}

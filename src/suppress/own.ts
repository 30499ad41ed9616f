import { sectionOf } from '../model/definition.ts';
import { coveringOf } from './covering.ts';
import type { SuppressorKind } from './suppressor.ts';

/** The operator's own assets and what is known to be good: the `suppress` lists of the pool and the collection. Nothing admits them. */
export const own: SuppressorKind = {
  open(journal) {
    const { suppress = [] } = journal.policy;
    if (suppress.length === 0) return null;
    const find = coveringOf(suppress);
    const section = sectionOf(journal);
    return {
      isFinal: true,
      match(observable) {
        const entry = find(observable);
        if (entry === null) return null;
        return {
          mode: 'drop',
          rule: 'own assets',
          entry,
          reason: `It is one of your own assets: the suppress list of ${section} has ${entry}.`,
          admit: `To serve it all the same, take ${entry} out of the suppress list: no admit list lifts it.`,
          isFirm: true,
          labels: [],
        };
      },
    };
  },
};

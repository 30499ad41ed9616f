import type { ContributionReader, ContributionWriter } from '../contract/contributions.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { View, WritableTables } from './database.ts';
import { matching } from './table.ts';

export function readContributions(view: View): Sync<ContributionReader> {
  return { contribution: (id) => view.contributions.get(id) ?? null };
}

export function writeContributions({ contributions }: WritableTables): Sync<ContributionWriter> {
  return {
    saveContribution(contribution) {
      if (contributions.get(contribution.id) !== undefined) throw new Error(`${contribution.id} is there already`);
      contributions.set(contribution.id, contribution);
    },

    forgetContributions(client, before, most) {
      for (const { id } of matching(contributions, ({ at }) => at < before)) contributions.delete(id);
      const newestFirst = matching(contributions, (row) => row.client === client).reverse();
      newestFirst.sort((a, b) => b.at - a.at);
      for (const { id } of newestFirst.slice(requireLimit(most, 0))) contributions.delete(id);
    },
  };
}

import { sectionOf } from '../model/definition.ts';
import { type Observable, observableKey } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import { coveringOf, entriesOver } from '../suppress/covering.ts';
import type { Suppressor } from '../suppress/suppressor.ts';
import type { JournalContext } from './journals.ts';

/** Entries looked up per store call. */
const AT_ONCE = 10_000;

/**
 * Adds to a journal's suppressors what its suppress feeds say over these observables: their entries cover as own assets do, and what
 * the journal's `admit` list covers passes. An entry counts as long as the store holds it and it is not revoked.
 */
export async function withSuppressFeeds(
  tx: Transaction,
  context: JournalContext,
  feeds: readonly string[],
  observables: Iterable<Observable>,
): Promise<JournalContext> {
  const over = new Set<string>();
  for (const observable of observables) for (const entry of entriesOver(observable)) over.add(observableKey(entry));
  const keys = [...over];
  const feedOf = new Map<string, string>();
  for (let start = 0; start < keys.length; start += AT_ONCE) {
    for (const { feed, observable, revoked } of await tx.observations(feeds, keys.slice(start, start + AT_ONCE))) {
      const known = feedOf.get(nameOf(observable));
      // Of several feeds the first of the configuration is named.
      const isFirst = known === undefined || feeds.indexOf(feed) < feeds.indexOf(known);
      if (!revoked && isFirst) feedOf.set(nameOf(observable), feed);
    }
  }
  const { suppressors } = context;
  const isOwn = ({ isFinal }: Suppressor): boolean => isFinal === true;
  const asked = [
    ...suppressors.filter(isOwn),
    suppressorOf(context, feedOf),
    ...suppressors.filter((one) => !isOwn(one)),
  ];
  return { ...context, suppressors: asked };
}

function suppressorOf({ definition }: JournalContext, feedOf: ReadonlyMap<string, string>): Suppressor {
  const findAdmitted = coveringOf(definition.policy.admit ?? []);
  const section = sectionOf(definition);
  return {
    match(observable) {
      for (const entry of entriesOver(observable)) {
        const feed = feedOf.get(nameOf(entry));
        if (feed === undefined) continue;
        if (findAdmitted(observable) !== null) return null;
        return {
          mode: 'drop',
          rule: `suppress feed ${feed}`,
          entry: entry.value,
          reason: `The suppress feed ${feed} has ${entry.value}.`,
          admit: `To serve it all the same, add it to ${section}.admit.`,
          labels: [],
        };
      }
      return null;
    },
  };
}

function nameOf({ type, value }: Observable): string {
  return `${type}:${value}`;
}

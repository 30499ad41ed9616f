import type { Micros } from '../model/clock.ts';
import { type Observable, type ObservableKey, observableKey } from '../model/observable.ts';
import type { Transaction } from '../store/store.ts';
import { addPublished, type Changes, type Published } from './changes.ts';
import { addressesOfAll, isExpanded, observationsOfNetworks, slices } from './expand.ts';
import { addObservation, decideAndAppend, readLive, readObservations } from './indicators.ts';
import type { JournalContext } from './journals.ts';
import type { FeedObservation } from './merge.ts';

/** Keys and addresses that are brought up to date at once: a batch may hold millions of addresses. */
const AT_ONCE = 1000;

/**
 * Brings a journal that expands networks up to date with changed observables: what is said of a network is published on its
 * addresses, and an address shows what is said of all networks over it.
 */
export async function publishExpanded(
  tx: Transaction,
  context: JournalContext,
  expandCidr: number,
  { keys, latest, gone = [], named }: Changes,
  now: Micros,
): Promise<Published> {
  const published: Published = { entries: 0, withdrawn: 0 };
  const publishAddresses = async (networks: Iterable<Observable>): Promise<void> => {
    for (const addresses of slices(addressesOfAll(networks), AT_ONCE)) {
      // Each once: networks may lie in each other.
      const byKey = new Map(addresses.map((address) => [observableKey(address), address]));
      const keys = [...byKey.keys()];
      const observations = await readObservations(tx, context, keys);
      await addNetworks(tx, context, expandCidr, observations, byKey.values());
      const live = await readLive(tx, context, keys);
      addPublished(published, await decideAndAppend(tx, context, keys, observations, live, now));
    }
  };
  for (const slice of slices(keys, AT_ONCE)) {
    const live = await readLive(tx, context, slice);
    const observations = await readObservations(tx, context, slice, latest);
    // An observable that is not live and that nobody says by itself stands as the networks over it left it.
    const observables = slice.flatMap((key): Observable[] => {
      const known = observations.get(key)?.[0]?.observation.observable ?? live.get(key) ?? named?.get(key);
      return known === undefined ? [] : [{ type: known.type, value: known.value }];
    });
    const networks = observables.filter((observable) => isExpanded(observable, expandCidr));
    const over = await addNetworks(tx, context, expandCidr, observations, observables);
    addPublished(published, await decideAndAppend(tx, context, slice, observations, live, now));
    // Where time made the change: the networks over what ended, ended as well, and have no entry that would come due.
    const ended = latest === undefined ? [...over].filter((key) => !observations.has(key)) : [];
    if (ended.length > 0) {
      const [observations, live] = [await readObservations(tx, context, ended), await readLive(tx, context, ended)];
      addPublished(published, await decideAndAppend(tx, context, ended, observations, live, now));
    }
    await publishAddresses(networks);
  }
  await publishAddresses(gone.filter((one) => isExpanded(one, expandCidr)));
  return published;
}

/** Adds what is said of the networks over these observables; returns the keys of those networks. */
export async function addNetworks(
  tx: Transaction,
  { feeds }: JournalContext,
  expandCidr: number,
  observations: Map<ObservableKey, FeedObservation[]>,
  observables: Iterable<Observable>,
): Promise<Set<ObservableKey>> {
  const found = await observationsOfNetworks(tx, [...feeds.keys()], observables, expandCidr);
  for (const one of found.observations) addObservation(observations, one);
  return found.networks;
}

import ipaddr from 'ipaddr.js';
import { type Observable, type ObservableKey, observableKey } from '../model/observable.ts';
import type { Observation } from '../model/observation.ts';
import type { Transaction } from '../store/store.ts';
import type { FeedObservation } from './merge.ts';

/**
 * Small networks as their addresses, in journals whose policy says so (`expandCidr`): what is said of a network is said of each
 * address in it, the first and the last included. Nothing of this is kept: an address finds the networks over it by their keys.
 */

/** Prefix lengths count from the end of the address, so that an IPv6 network is expanded as an IPv4 one of as many addresses is. */
const BITS = { ipv4: 32, ipv6: 128 } as const;

/** Is it a network of `expandCidr` or longer (IPv6: of as few addresses)? Null: none is expanded. */
export function isExpanded({ type, value }: Observable, expandCidr: number | null): boolean {
  if (expandCidr === null || (type !== 'ipv4' && type !== 'ipv6')) return false;
  const slash = value.indexOf('/');
  return slash > 0 && BITS[type] - Number(value.slice(slash + 1)) <= BITS.ipv4 - expandCidr;
}

/** Their addresses, network by network. */
export function* addressesOfAll(networks: Iterable<Observable>): Generator<Observable> {
  for (const network of networks) yield* addressesOf(network);
}

/** The addresses of a network that is expanded: 1024 at most. */
function* addressesOf({ type, value }: Observable): Generator<Observable> {
  const [address = '', bits] = value.split('/');
  const bytes = bytesOf(address);
  const first = lastOf(bytes);
  const count = 2 ** (bytes.length * 8 - Number(bits));
  for (let i = 0; i < count; i += 1) yield { type, value: textOf(bytes, first + i) };
}

/** The networks over an address that are expanded, longest prefix first, at most ten. Empty for other values. */
function* networksOver({ type, value }: Observable, expandCidr: number): Generator<Observable> {
  if ((type !== 'ipv4' && type !== 'ipv6') || value.includes('/')) return;
  const bytes = bytesOf(value);
  const address = lastOf(bytes);
  for (let host = 1; host <= BITS.ipv4 - expandCidr; host += 1) {
    yield { type, value: `${textOf(bytes, address - (address % 2 ** host))}/${BITS[type] - host}` };
  }
}

/**
 * Returns what the feeds say of networks over these addresses, as observations of the addresses, and the keys of those networks.
 * The label and the claim name the network.
 */
export async function observationsOfNetworks(
  tx: Transaction,
  feeds: readonly string[],
  addresses: Iterable<Observable>,
  expandCidr: number,
): Promise<{ observations: FeedObservation[]; networks: Set<ObservableKey> }> {
  const under = new Map<ObservableKey, Observable[]>();
  for (const address of addresses) {
    for (const network of networksOver(address, expandCidr)) {
      const key = observableKey(network);
      if (!under.get(key)?.push(address)) under.set(key, [address]);
    }
  }
  const observations: FeedObservation[] = [];
  const networks = new Set<ObservableKey>();
  if (under.size === 0) return { observations, networks };
  for (const { feed, ...observation } of await tx.observations(feeds, [...under.keys()])) {
    networks.add(observation.key);
    for (const address of under.get(observation.key) ?? []) {
      observations.push({ feed, observation: ofAddress(observation, address), network: observation.observable.value });
    }
  }
  return { observations, networks };
}

function ofAddress(observation: Observation, address: Observable): Observation {
  const label = `network:${observation.observable.value}`;
  return {
    ...observation,
    key: observableKey(address),
    observable: address,
    labels: [...new Set([...observation.labels, label])].sort(),
  };
}

/** A canonical address, as bytes. */
function bytesOf(address: string): number[] {
  return address.includes(':') ? ipaddr.IPv6.parse(address).toByteArray() : address.split('.').map(Number);
}

/** The last 16 bits: all in which the addresses of an expanded network differ. */
function lastOf(bytes: readonly number[]): number {
  return (bytes.at(-2) ?? 0) * 256 + (bytes.at(-1) ?? 0);
}

/** The canonical text (src/normalise/address.ts) of an address with other last 16 bits. */
function textOf(bytes: readonly number[], last: number): string {
  const all = [...bytes.slice(0, -2), last >>> 8, last & 255];
  return bytes.length === 4 ? all.join('.') : new ipaddr.IPv6(all).toRFC5952String();
}

/** In order, so many at a time: no more of them are held at once. */
export function* slices<T>(all: Iterable<T>, size: number): Generator<T[]> {
  let slice: T[] = [];
  for (const one of all) {
    slice.push(one);
    if (slice.length < size) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

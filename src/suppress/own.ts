import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Observable } from '../model/observable.ts';
import type { Suppressor, SuppressorKind } from './suppressor.ts';

/**
 * The operator's own assets: networks, addresses, and domains with all names below them. A URL is matched by its host, an e-mail
 * address by its domain. A network is matched when it lies in a listed one: of a network that holds own addresses and others, only
 * the own ones are matched.
 */
export const own: SuppressorKind = {
  open: ({ suppress = [] }) => (suppress.length === 0 ? null : ownAssets(suppress)),
};

/** `entries`: canonical IPv4 and IPv6 addresses and networks, and domains. */
export function ownAssets(entries: readonly string[]): Suppressor {
  const listed = new Set(entries);
  const prefixes = {
    ipv4: prefixesOf(entries.filter((entry) => !entry.includes(':'))),
    ipv6: prefixesOf(entries.filter((entry) => entry.includes(':'))),
  };

  /** The listed network over an address or network, or that itself. */
  const findNetwork = (type: 'ipv4' | 'ipv6', value: string): string | null => {
    if (listed.has(value)) return value;
    const [address = '', bits] = value.split('/');
    const longest = bits === undefined ? Number.POSITIVE_INFINITY : Number(bits);
    for (const prefix of prefixes[type]) {
      const network = prefix > longest ? null : networkOver(type, address, prefix);
      if (network !== null && listed.has(network)) return network;
    }
    return null;
  };
  /** The listed domain that a host name is or stands below. */
  const findDomain = (host: string): string | null => {
    for (let name = host; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
      if (listed.has(name)) return name;
    }
    return null;
  };
  const findHost = (host: string): string | null => {
    const address = host.replace(/^\[|\]$/g, '');
    if (isIPv4(address)) return findNetwork('ipv4', address);
    return isIPv6(address) ? findNetwork('ipv6', address) : findDomain(host);
  };
  const find = ({ type, value }: Observable): string | null => {
    switch (type) {
      case 'ipv4':
      case 'ipv6':
        return findNetwork(type, value);
      case 'domain':
        return findDomain(value);
      case 'url':
        return findHost(URL.parse(value)?.hostname ?? '');
      case 'email':
        return findDomain(value.slice(value.lastIndexOf('@') + 1));
      default:
        return null;
    }
  };
  return {
    match(observable) {
      const asset = find(observable);
      return asset === null ? null : { reason: `It is one of your own assets: the pool's suppress list has ${asset}.` };
    },
  };
}

/** The prefix lengths of the networks among these. */
function prefixesOf(entries: readonly string[]): number[] {
  return [...new Set(entries.flatMap((entry) => (entry.includes('/') ? [Number(entry.split('/')[1])] : [])))];
}

/** The network of this prefix length that holds an address, in canonical form. */
function networkOver(type: 'ipv4' | 'ipv6', address: string, prefix: number): string {
  const cidr = `${address}/${prefix}`;
  const first =
    type === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()
      : ipaddr.IPv6.networkAddressFromCIDR(cidr).toRFC5952String();
  return `${first}/${prefix}`;
}

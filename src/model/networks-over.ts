import ipaddr from 'ipaddr.js';
import type { Observable } from './observable.ts';

/** The longest prefix of a network of several addresses. */
const LONGEST_PREFIX = { ipv4: 31, ipv6: 127 } as const;

/** The networks that hold a canonical address or network, narrowest first; itself is none of them. */
export function* networksOver(value: string): Generator<Observable> {
  const type = value.includes(':') ? 'ipv6' : 'ipv4';
  const [address = '', bits] = value.split('/');
  const longest = bits === undefined ? LONGEST_PREFIX[type] : Number(bits) - 1;
  for (let prefix = longest; prefix > 0; prefix -= 1) yield { type, value: networkOver(address, prefix) };
}

/** The network of this prefix length that holds an address, in canonical form. */
export function networkOver(address: string, prefix: number): string {
  const cidr = `${address}/${prefix}`;
  const first = address.includes(':')
    ? ipaddr.IPv6.networkAddressFromCIDR(cidr).toRFC5952String()
    : ipaddr.IPv4.networkAddressFromCIDR(cidr).toString();
  return `${first}/${prefix}`;
}

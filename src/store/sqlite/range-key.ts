import ipaddr from 'ipaddr.js';
import { hostOf } from '../../model/host.ts';
import type { Observable } from '../../model/observable.ts';

/**
 * Texts that sort addresses by number and names by their last label first, so that a network, and a domain with all names below it,
 * is one range of an index. `4` or `6`, the first address and the prefix length in hex; `d` and the labels in reverse order, each
 * with a dot behind it: `4c633640018` for 198.51.100.0/24, `dcom.example.www.` for www.example.com.
 */

/** Where an observable lies; null for one that names no host. */
export function rangeKeyOf(observable: Observable): string | null {
  const host = hostOf(observable);
  if (host === null) return null;
  return host.kind === 'name' ? nameKey(host.name) : startOf(host.network) + prefixHex(host.network);
}

/** Keys that begin in the network lie from `from` up to and without `to`; those inside it have at least the prefix `prefix`. */
export function networkRange(network: string): { from: string; to: string; prefix: string } {
  const [address, bits] = ipaddr.parseCIDR(withPrefix(network));
  const last = address.toByteArray();
  for (let bit = bits; bit < last.length * 8; bit += 1) last[bit >> 3] = (last[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  const kind = address.kind() === 'ipv4' ? '4' : '6';
  return { from: startOf(network), to: `${kind}${hexOf(last)}~`, prefix: prefixHex(network) };
}

/** Keys of the domain and of the names below it lie from `from` up to and without `to`. */
export function domainRange(domain: string): { from: string; to: string } {
  const from = nameKey(domain);
  // The character behind the dot.
  return { from, to: `${from.slice(0, -1)}/` };
}

function nameKey(name: string): string {
  return `d${name.split('.').reverse().join('.')}.`;
}

function withPrefix(network: string): string {
  if (network.includes('/')) return network;
  return `${network}/${network.includes(':') ? 128 : 32}`;
}

function startOf(network: string): string {
  const [address = ''] = network.split('/');
  if (address.includes(':')) return `6${hexOf(ipaddr.parse(address).toByteArray())}`;
  return `4${hexOf(address.split('.').map(Number))}`;
}

function prefixHex(network: string): string {
  const slash = network.indexOf('/');
  const bits = slash < 0 ? (network.includes(':') ? 128 : 32) : Number(network.slice(slash + 1));
  return HEX[bits] ?? '';
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Two digits for each byte. Every observation that is new is given a key. */
function hexOf(bytes: readonly number[]): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

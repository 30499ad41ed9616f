import ipaddr from 'ipaddr.js';
import type { Reach } from '../model/definition.ts';
import { spanOf4 } from '../model/ipv4-span.ts';
import type { Observable } from '../model/observable.ts';
import type { Refusal } from './parsed.ts';

/**
 * Reserved addresses are refused: they name the machine itself, its link or a group, never one host elsewhere, and a block list
 * that holds them cuts its own network off. Private (RFC 1918, RFC 4193), shared (RFC 6598) and documentation addresses are
 * accepted: feeds about an internal network are about these.
 */

/** RFC 6890 and the IANA registries of special-purpose addresses; first and last address as numbers. */
const reserved4 = (
  [
    ['0.0.0.0/8', 'this network'],
    ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link-local'],
    ['224.0.0.0/4', 'multicast'],
    ['240.0.0.0/4', 'reserved or broadcast'],
  ] as const
).map(([network, what]) => ({ ...spanOf4(network), what }));

const reserved6 = (
  [
    // Unspecified, loopback, and the IPv4-compatible addresses that nothing uses (RFC 4291 section 2.5.5.1).
    ['::/96', 'unspecified or loopback'],
    ['fe80::/10', 'link-local'],
    ['ff00::/8', 'multicast'],
  ] as const
).map(([network, what]) => ({ network: ipaddr.IPv6.parseCIDR(network), what }));

/**
 * Returns why an observable is refused from a feed with this reach, or null. It looks at addresses, networks, hosts of URLs and
 * e-mail addresses, and names under `localhost` (RFC 6761 section 6.3). A network that overlaps a reserved one is refused.
 */
export function refuseReach({ type, value }: Observable, reach: Reach): Refusal | null {
  switch (type) {
    case 'ipv4':
    case 'ipv6':
      return refuseWide(value, reach.minPrefix[type]) ?? (reach.reserved ? null : refuseAddress(value));
    case 'url':
      return reach.reserved ? null : refuseHost(hostOf(value));
    case 'domain':
      return reach.reserved ? null : refuseHost(value);
    case 'email':
      return reach.reserved ? null : refuseHost(value.slice(value.lastIndexOf('@') + 1));
    default:
      return null;
  }
}

function refuseWide(value: string, shortest: number): Refusal | null {
  const slash = value.indexOf('/');
  if (slash < 0 || Number(value.slice(slash + 1)) >= shortest) return null;
  return { reason: 'too-wide', detail: `${value}: a prefix shorter than /${shortest}` };
}

/** `host` is a name, an IPv4 address, or an IPv6 address in brackets. */
function refuseHost(host: string): Refusal | null {
  if (host.startsWith('[')) return refuseAddress(host.slice(1, -1));
  const last = host.charCodeAt(host.length - 1);
  // A host name never ends in a digit (host.ts).
  if (last >= 0x30 && last <= 0x39) return refuseAddress(host);
  return host.endsWith('.localhost') ? refuse(host, 'loopback') : null;
}

function refuseAddress(value: string): Refusal | null {
  const what = value.includes(':') ? reservation6(value) : reservation4(value);
  return what === null ? null : refuse(value, what);
}

function refuse(value: string, what: string): Refusal {
  return { reason: 'reserved', detail: `${value}: ${what}, no address of another network` };
}

function reservation4(value: string): string | null {
  const { first, last } = spanOf4(value);
  for (const range of reserved4) if (first <= range.last && last >= range.first) return range.what;
  return null;
}

function reservation6(value: string): string | null {
  const [address, bits] = value.includes('/') ? ipaddr.IPv6.parseCIDR(value) : [ipaddr.IPv6.parse(value), 128];
  // The host of a URL may be an IPv4-mapped address; other values were made IPv4 before.
  if (address.isIPv4MappedAddress() && bits === 128) return reservation4(address.toIPv4Address().toString());
  for (const { network, what } of reserved6) {
    if (address.match(network[0], Math.min(bits, network[1]))) return what;
  }
  return null;
}

/** The host of a canonical URL, without user and port. */
function hostOf(url: string): string {
  const from = url.indexOf('://') + 3;
  let to = from;
  let host = from;
  for (; to < url.length; to += 1) {
    const character = url[to];
    if (character === '/' || character === '?' || character === '#') break;
    if (character === '@') host = to + 1;
  }
  const authority = url.slice(host, to);
  const port = authority.startsWith('[') ? authority.indexOf(']') + 1 : authority.indexOf(':');
  return port > 0 ? authority.slice(0, port) : authority;
}

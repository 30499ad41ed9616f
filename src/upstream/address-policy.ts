import ipaddr from 'ipaddr.js';

/**
 * Where an address leads: `public` is global unicast (IANA special-purpose registries, RFC 6890 with its updates);
 * `internal` is this machine or this organisation; `never` is what no feed is ever read from: link-local, the addresses
 * under which clouds hand out credentials, multicast, documentation, and everything that is not assigned.
 */
export type Reach = 'public' | 'internal' | 'never';

/** Metadata and control services that stand outside the link-local ranges. */
const metadata = new Set([
  '100.100.100.200', // Alibaba Cloud
  '168.63.129.16', // Azure WireServer, inside public space
  'fd00:ec2::254', // AWS
  'fd20:ce::254', // Google Cloud
  'fd00:42::42', // Scaleway
  'fd00:c1::a9fe:a9fe', // Oracle Cloud
]);

const internalRanges = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat']);

/** RFC 4291 section 2.4 with IANA's allocations: nothing else of IPv6 is global unicast today. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
/** RFC 6052 section 2.1. RFC 8215's local-use prefix is not it: where that leads is anybody's guess. */
const nat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** RFC 9637, younger than the ranges that ipaddr.js knows. */
const documentation = ipaddr.IPv6.parseCIDR('3fff::/20');

/** `text` is an address as a resolver or URL.hostname writes it, without brackets; what can't be read is `never`. */
export function reachOf(text: string): Reach {
  // With a zone it is an address on a link, whatever its prefix says.
  if (text.includes('%') || !ipaddr.isValid(text)) return 'never';
  // IPv4-compatible (RFC 4291 section 2.5.5.1, given up): resolvers write it so, and ipaddr.js would take it for mapped.
  if (/^::\d+\./.test(text)) return 'never';
  return classify(ipaddr.parse(text));
}

function classify(address: ipaddr.IPv4 | ipaddr.IPv6): Reach {
  if (metadata.has(address.toString())) return 'never';
  const range: string = address.range();
  if (internalRanges.has(range)) return 'internal';
  if (address instanceof ipaddr.IPv4) return range === 'unicast' ? 'public' : 'never';
  if (address.isIPv4MappedAddress()) return classify(address.toIPv4Address());
  // What a resolver on an IPv6-only network makes of an IPv4 address: it leads where that one leads.
  if (address.match(nat64)) return classify(new ipaddr.IPv4(address.toByteArray().slice(12)));
  // 6to4 (RFC 7526) and Teredo are gone and embed IPv4 addresses; both ranges are named, so they fail here.
  return range === 'unicast' && address.match(globalUnicast) && !address.match(documentation) ? 'public' : 'never';
}

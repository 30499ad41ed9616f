import ipaddr from 'ipaddr.js';

/**
 * Which addresses feeds may be read from. `public` is global unicast (IANA special-purpose registries, RFC 6890 with its updates).
 * `internal` is this machine or this organisation. No feed is ever read from what is `forbidden`: link-local, the metadata addresses
 * under which clouds hand out credentials, multicast, documentation, and everything that is not assigned.
 */
export type AddressClass = 'public' | 'internal' | 'forbidden';

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
/** RFC 6052 section 2.1. RFC 8215's local-use prefix is not part of it: where it leads is unknown. */
const nat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** RFC 9637. ipaddr.js does not know this range. */
const documentation = ipaddr.IPv6.parseCIDR('3fff::/20');

/** `text` is an address as a resolver or URL.hostname writes it, without brackets. What can't be parsed is `forbidden`. */
export function classifyAddress(text: string): AddressClass {
  // An address with a zone is on a link, whatever its prefix.
  if (text.includes('%') || !ipaddr.isValid(text)) return 'forbidden';
  // IPv4-compatible (RFC 4291 section 2.5.5.1, deprecated): ipaddr.js would take this form for IPv4-mapped.
  if (/^::\d+\./.test(text)) return 'forbidden';
  return classify(ipaddr.parse(text));
}

function classify(address: ipaddr.IPv4 | ipaddr.IPv6): AddressClass {
  if (metadata.has(address.toString())) return 'forbidden';
  const range: string = address.range();
  if (internalRanges.has(range)) return 'internal';
  if (address instanceof ipaddr.IPv4) return range === 'unicast' ? 'public' : 'forbidden';
  if (address.isIPv4MappedAddress()) return classify(address.toIPv4Address());
  // A resolver on an IPv6-only network writes IPv4 addresses so: the embedded address decides.
  if (address.match(nat64)) return classify(new ipaddr.IPv4(address.toByteArray().slice(12)));
  // 6to4 (RFC 7526) and Teredo embed IPv4 addresses and are given up. ipaddr.js names both ranges, so they are forbidden here.
  return range === 'unicast' && address.match(globalUnicast) && !address.match(documentation) ? 'public' : 'forbidden';
}

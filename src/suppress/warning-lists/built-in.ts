import type { WarningList } from './list.ts';

/** Lists that MISP doesn't have, or in another form. Reserved addresses and public suffixes were refused before (normalise/). */
export const builtIn: readonly WarningList[] = [
  {
    name: 'private-networks',
    title: 'Private and shared address space (RFC 1918, RFC 4193, RFC 6598)',
    type: 'cidr',
    types: ['ipv4', 'ipv6'],
    entries: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'],
    urls: true,
    overlaps: true,
  },
  {
    name: 'wide-networks',
    title: 'Networks of too many addresses: IPv4 wider than /12, IPv6 wider than /24',
    type: 'prefix',
    types: ['ipv4', 'ipv6'],
    // The widest networks of Spamhaus DROP are /12.
    entries: ['0.0.0.0/12', '::/24'],
  },
  {
    name: 'public-resolvers',
    title: 'Well-known public DNS resolvers',
    type: 'cidr',
    types: ['ipv4', 'ipv6'],
    // MISP's lists lack most of these. Each as its operator documents it.
    entries: [
      // Cloudflare, also for families.
      ...['1.1.1.1', '1.0.0.1', '1.1.1.2', '1.0.0.2', '1.1.1.3', '1.0.0.3'],
      ...['2606:4700:4700::1111', '2606:4700:4700::1001', '2606:4700:4700::1112', '2606:4700:4700::1002'],
      ...['2606:4700:4700::1113', '2606:4700:4700::1003'],
      // Google.
      ...['8.8.8.8', '8.8.4.4', '2001:4860:4860::8888', '2001:4860:4860::8844'],
      // Quad9.
      ...['9.9.9.9', '149.112.112.112', '9.9.9.10', '149.112.112.10', '9.9.9.11', '149.112.112.11'],
      ...['2620:fe::fe', '2620:fe::9', '2620:fe::10', '2620:fe::fe:10', '2620:fe::11', '2620:fe::fe:11'],
      // Cisco OpenDNS.
      ...['208.67.222.222', '208.67.220.220', '208.67.222.123', '208.67.220.123', '2620:119:35::35', '2620:119:53::53'],
      // AdGuard.
      ...['94.140.14.14', '94.140.15.15', '2a10:50c0::ad1:ff', '2a10:50c0::ad2:ff'],
      // Level 3 and Verisign, Neustar.
      ...['4.2.2.1', '4.2.2.2', '4.2.2.3', '4.2.2.4', '64.6.64.6', '64.6.65.6'],
      // Yandex, AliDNS, 114DNS, DNSPod.
      ...['77.88.8.8', '77.88.8.1', '223.5.5.5', '223.6.6.6', '114.114.114.114', '114.114.115.115', '119.29.29.29'],
    ],
    urls: true,
  },
];

import { isAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

/** As ipset counts, which makes no room for more by itself. */
const MOST = 4_194_304;

export const ipset = lineOutput({
  name: 'ipset',
  title: 'ipset sets `sluice4` and `sluice6` (hash:net), for `ipset restore`',
  readers:
    'ipset, and iptables rules that match the sets; the sets are emptied first; networks of all addresses are none',
  extension: 'ipset',
  comment: '#',
  types: ['ipv4', 'ipv6'],
  isUndivided: true,
  options: {},
  head: () => [
    `create sluice4 hash:net family inet maxelem ${MOST} -exist`,
    'flush sluice4',
    `create sluice6 hash:net family inet6 maxelem ${MOST} -exist`,
    'flush sluice6',
  ],
  linesOf({ type, value }) {
    if (!isAddress(value) || value.endsWith('/0')) return null;
    return [`add sluice${type === 'ipv6' ? 6 : 4} ${value} -exist`];
  },
});

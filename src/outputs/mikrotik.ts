import { isAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

export const mikrotik = lineOutput({
  name: 'mikrotik',
  title: 'MikroTik RouterOS script for `/import`: the address list `sluice`',
  readers: 'RouterOS; the script empties the list first; each line stands alone, so one that is refused stops no other',
  extension: 'rsc',
  comment: '#',
  types: ['ipv4', 'ipv6'],
  isUndivided: true,
  options: {},
  head: () => [
    '/ip firewall address-list remove [find list=sluice]',
    '/ipv6 firewall address-list remove [find list=sluice]',
  ],
  linesOf({ type, value }) {
    if (!isAddress(value)) return null;
    const menu = type === 'ipv6' ? '/ipv6' : '/ip';
    return [`:do { ${menu} firewall address-list add list=sluice address=${value} } on-error={}`];
  },
});

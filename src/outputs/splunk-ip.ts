import { isAddress } from './addresses.ts';
import { splunkLookup } from './splunk-lookup.ts';

export const splunkIp = splunkLookup({
  name: 'splunk-ip',
  title: 'addresses for Splunk Enterprise Security, `ip_intel`',
  readers: 'Splunk Enterprise Security, as a threat source or an upload; networks as CIDR',
  types: ['ipv4', 'ipv6'],
  columns: ['description', 'ip', 'weight'],
  cellsOf: ({ value }) => (isAddress(value) ? { ip: value } : null),
});

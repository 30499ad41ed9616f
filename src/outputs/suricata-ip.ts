import { linesOfAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

/** A dataset knows no networks: one of up to 256 addresses is written as each of them, a wider one is left out. */
export const suricataIp = lineOutput({
  name: 'suricata-ip',
  title: 'a Suricata dataset of type `ip`',
  readers:
    'Suricata from 7 on, `ip.dst; dataset:isset,NAME,type ip,load FILE`; networks of up to 256 addresses are written as addresses; set `hashsize` near the number of lines',
  comment: null,
  types: ['ipv4', 'ipv6'],
  options: {},
  linesOf: ({ value }) => linesOfAddress(value, 'hosts'),
});

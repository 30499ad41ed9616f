import { type AddressOptions, addressOptions, linesOfAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

export const panosIp = lineOutput<AddressOptions>({
  name: 'panos-ip',
  title: 'PAN-OS external dynamic list of type IP list',
  readers:
    'PAN-OS; it takes 50,000 to 150,000 addresses over all lists, by model, and passes over the rest; no lines of comments',
  comment: null,
  types: ['ipv4', 'ipv6'],
  options: addressOptions,
  linesOf: ({ value }, { prefixes }) => linesOfAddress(value, prefixes),
});

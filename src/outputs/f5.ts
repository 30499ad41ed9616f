import { isAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

export const f5 = lineOutput({
  name: 'f5',
  title: 'F5 BIG-IP feed list for IP Intelligence',
  readers:
    'BIG-IP AFM; address, prefix length, `bl` and no category, so that the category of the feed list counts; no lines of comments',
  comment: null,
  types: ['ipv4', 'ipv6'],
  options: {},
  linesOf({ value }) {
    if (!isAddress(value)) return null;
    const [address = '', prefix = address.includes(':') ? '128' : '32'] = value.split('/');
    return [`${address},${prefix},bl,`];
  },
});

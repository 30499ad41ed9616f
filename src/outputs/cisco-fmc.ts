import { isAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';
import { isName, urlText } from './names.ts';

export const ciscoFmc = lineOutput({
  name: 'cisco-fmc',
  title: 'Cisco Secure Firewall (FMC) Security Intelligence feed',
  readers:
    'Cisco FMC; a feed holds networks, domains or URLs, so give a list `types: [ipv4, ipv6]`, `[domain]` or `[url]`; at most 500 MB; a feed without a valid line keeps the last one',
  comment: '#',
  types: ['ipv4', 'ipv6', 'domain', 'url'],
  options: {},
  linesOf({ type, value }) {
    if (type === 'domain') return isName(value) ? [value] : null;
    if (type !== 'url') return isAddress(value) ? [value] : null;
    const text = urlText(value, { scheme: false, port: true });
    return text === null ? null : [text];
  },
});

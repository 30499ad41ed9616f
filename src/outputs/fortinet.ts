import { type AddressOptions, addressOptions, linesOfAddress } from './addresses.ts';
import { isDigest } from './digests.ts';
import { lineOutput } from './lines.ts';
import { isName, urlText } from './names.ts';

export const fortinet = lineOutput<AddressOptions>({
  name: 'fortinet',
  title: 'FortiGate external feed (threat feed connector)',
  readers:
    'FortiGate; a connector takes one kind, so give a list `types: [ipv4, ipv6]`, `[domain]`, `[url]` or `[md5, sha1, sha256]`; since 7.4.4 the limits are for all feeds together, by model (300,000 addresses, 1,000,000 domains and more), and what is beyond is cut by the firewall',
  comment: '#',
  types: ['ipv4', 'ipv6', 'domain', 'url', 'md5', 'sha1', 'sha256'],
  options: addressOptions,
  linesOf({ type, value }, { prefixes }) {
    if (type === 'ipv4' || type === 'ipv6') return linesOfAddress(value, prefixes);
    if (type === 'domain') return isName(value) ? [value] : null;
    if (type === 'url') return linesOfUrl(value);
    return isDigest(type, value) ? [value] : null;
  },
});

/** `*` would stand for any text. */
function linesOfUrl(value: string): string[] | null {
  const text = urlText(value, { scheme: true, port: true });
  return text === null || text.includes('*') ? null : [text];
}

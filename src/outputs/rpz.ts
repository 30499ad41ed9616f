import Type from 'typebox';
import { MICROS_PER_SECOND } from '../model/clock.ts';
import { isAddress, networkOf } from './addresses.ts';
import { lineOutput } from './lines.ts';
import { isName, type SubdomainOptions, subdomainOption } from './names.ts';

/** What is answered, as the target of a CNAME (draft-vixie-dnsop-dns-rpz-00 section 3). */
const targets = {
  nxdomain: '.',
  nodata: '*.',
  drop: 'rpz-drop.',
  passthru: 'rpz-passthru.',
  'tcp-only': 'rpz-tcp-only.',
} as const;

interface Options extends SubdomainOptions {
  action: keyof typeof targets;
}

/** Room for `*.` and the name of the zone: a whole name has 253 characters at most. */
const LONGEST_NAME = 200;
/** Names under these are no names but triggers of other kinds. */
const TRIGGER = /\.rpz-[a-z0-9-]+$/;

/** A response policy zone. Owner names are relative: the server's configuration names the zone. */
export const rpz = lineOutput<Options>({
  name: 'rpz',
  title: 'a response policy zone',
  readers:
    'BIND, Unbound, PowerDNS Recursor, Knot Resolver; the serial of its SOA rises when the content changes, and only then',
  mediaType: 'text/dns; charset=utf-8',
  extension: 'zone',
  comment: ';',
  types: ['domain', 'ipv4', 'ipv6'],
  options: {
    action: Type.Enum(Object.keys(targets), { default: 'nxdomain', description: 'what resolvers answer.' }),
    subdomains: subdomainOption(true),
  },
  head: ({ at }) => [
    '$TTL 300',
    `@ IN SOA localhost. hostmaster.localhost. ${Math.floor(at / MICROS_PER_SECOND)} 3600 300 2592000 300`,
    '@ IN NS localhost.',
  ],
  linesOf({ type, value }, { action, subdomains }) {
    const target = targets[action];
    if (type !== 'domain') return isAddress(value) ? [`${addressTrigger(value)} CNAME ${target}`] : null;
    if (!isName(value) || value.length > LONGEST_NAME || TRIGGER.test(value)) return null;
    return [`${value} CNAME ${target}`, ...(subdomains ? [`*.${value} CNAME ${target}`] : [])];
  },
});

/** `24.0.2.0.192.rpz-ip`, or `48.zz.db8.2001.rpz-ip`: prefix length, then the address backwards, `zz` for `::`. */
function addressTrigger(value: string): string {
  const { bits, prefix } = networkOf(value);
  const [address = ''] = value.split('/');
  const parts = bits === 32 ? address.split('.') : wordsOf(address);
  return `${prefix}.${parts.reverse().join('.')}.rpz-ip`;
}

/** Of an IPv6 address as RFC 5952 writes it. */
function wordsOf(address: string): string[] {
  return address
    .replace(/^::|::$|::/, (found, at: number) => {
      const isFirst = at === 0;
      const isLast = at + found.length === address.length;
      return `${isFirst ? '' : ':'}zz${isLast ? '' : ':'}`;
    })
    .split(':');
}

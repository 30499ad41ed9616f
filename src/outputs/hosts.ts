import Type from 'typebox';
import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const hosts = lineOutput<{ sinkhole: string }>({
  name: 'hosts',
  title: 'a hosts file',
  readers:
    'resolvers of operating systems, Pi-hole, AdGuard Home, dnsmasq (`addn-hosts`); names below a domain are not meant',
  comment: '#',
  types: ['domain'],
  options: {
    sinkhole: Type.Enum(['0.0.0.0', '127.0.0.1', '::', '::1'], {
      default: '0.0.0.0',
      description: 'the address that names are sent to.',
    }),
  },
  linesOf: ({ value }, { sinkhole }) => (isName(value) ? [`${sinkhole} ${value}`] : null),
});

import Type from 'typebox';
import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const dnsmasq = lineOutput<{ answer: string }>({
  name: 'dnsmasq',
  title: 'dnsmasq configuration, for `conf-file` or `servers-file`',
  readers: 'dnsmasq; names below a domain are meant as well',
  extension: 'conf',
  comment: '#',
  types: ['domain'],
  options: {
    answer: Type.Enum(['nxdomain', '0.0.0.0', '127.0.0.1', '::', '::1'], {
      default: 'nxdomain',
      description: 'the address that names are sent to; nxdomain: there is no such name.',
    }),
  },
  linesOf({ value }, { answer }) {
    if (!isName(value)) return null;
    return [answer === 'nxdomain' ? `server=/${value}/` : `address=/${value}/${answer}`];
  },
});

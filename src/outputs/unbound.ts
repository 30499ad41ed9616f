import Type from 'typebox';
import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const unbound = lineOutput<{ zone: string }>({
  name: 'unbound',
  title: 'Unbound local zones, for `include:`',
  readers: 'Unbound; names below a domain are meant as well; `rpz` is for large lists',
  extension: 'conf',
  comment: '#',
  types: ['domain'],
  options: {
    zone: Type.Enum(['always_nxdomain', 'always_refuse', 'always_null', 'always_deny'], {
      default: 'always_nxdomain',
      description: 'how Unbound answers: there is no such name; refused; 0.0.0.0 and ::; not at all.',
    }),
  },
  head: () => ['server:'],
  linesOf: ({ value }, { zone }) => (isName(value) ? [`local-zone: "${value}." ${zone}`] : null),
});

import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const squid = lineOutput({
  name: 'squid',
  title: 'Squid acl of type `dstdomain`',
  readers:
    'Squid; the names themselves, not those below them: Squid refuses a file that holds a domain with all below it and one of these',
  comment: '#',
  types: ['domain'],
  options: {},
  linesOf: ({ value }) => (isName(value) ? [value] : null),
});

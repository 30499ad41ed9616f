import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const adblock = lineOutput({
  name: 'adblock',
  title: 'network rules in Adblock’s syntax, `||name^`',
  readers: 'AdGuard Home, AdGuard DNS, Pi-hole from FTL 5.22 on; the names below a domain are meant as well',
  comment: '!',
  types: ['domain'],
  options: {},
  linesOf: ({ value }) => (isName(value) ? [`||${value}^`] : null),
});

import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const domains = lineOutput({
  name: 'domains',
  title: 'domains, one per line',
  readers: 'Pi-hole, pfBlockerNG, AdGuard Home and others that take plain domain lists',
  comment: '#',
  types: ['domain'],
  options: {},
  linesOf: ({ value }) => (isName(value) ? [value] : null),
});

import Type from 'typebox';
import { isAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

/** Scopes in capitals: cscli before 1.6.11 hands them on as they are, and its list of allowed addresses knows no `range`. */
export const crowdsec = lineOutput<{ hours: number }>({
  name: 'crowdsec',
  title: 'decisions for CrowdSec, `duration,scope,value`',
  readers:
    '`cscli decisions import -i FILE.csv`; decisions end by themselves, so import more often than `hours`; cscli 1.4 takes networks as scope `Ip`',
  mediaType: 'text/csv; charset=utf-8',
  extension: 'csv',
  comment: null,
  types: ['ipv4', 'ipv6'],
  options: {
    hours: Type.Integer({
      default: 24,
      minimum: 1,
      maximum: 8760,
      description: 'how long a decision holds after it was imported.',
    }),
  },
  head: () => ['duration,scope,value'],
  linesOf: ({ value }, { hours }) =>
    isAddress(value) ? [`${hours}h,${value.includes('/') ? 'Range' : 'Ip'},${value}`] : null,
});

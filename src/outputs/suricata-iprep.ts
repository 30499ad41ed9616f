import Type from 'typebox';
import { isAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

/** Suricata's least and greatest score. */
const LEAST = 1;
const GREATEST = 127;

export const suricataIprep = lineOutput<{ iprep_category: number }>({
  name: 'suricata-iprep',
  title: 'Suricata’s IP reputation, `address,category,score`',
  readers:
    'Suricata, `reputation-files`; the score is the confidence from 1 to 127, 1 where none is known; its category file names `iprep_category`',
  extension: 'list',
  comment: '#',
  types: ['ipv4', 'ipv6'],
  options: {
    iprep_category: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 59,
      description: 'the number of the category in Suricata’s category file.',
    }),
  },
  linesOf: ({ value, confidence }, { iprep_category: category }) =>
    isAddress(value) ? [`${value},${category},${scoreOf(confidence ?? 0)}`] : null,
});

/** Of a confidence from 0 to 100. */
function scoreOf(confidence: number): number {
  return LEAST + Math.round((confidence / 100) * (GREATEST - LEAST));
}

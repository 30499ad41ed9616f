import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

export const panosDomain = lineOutput({
  name: 'panos-domain',
  title: 'PAN-OS external dynamic list of type domain list',
  readers: 'PAN-OS; 50,000 names and more by model; whether names below them are meant is set at the list in PAN-OS',
  comment: null,
  types: ['domain'],
  options: {},
  linesOf: ({ value }) => (isName(value) ? [value] : null),
});

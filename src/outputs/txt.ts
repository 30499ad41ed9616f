import { type AddressOptions, addressOptions, linesOfAddress } from './addresses.ts';
import { lineOutput } from './lines.ts';

/** One value per line, for block lists and shell scripts. Without rows the document is empty. */
export const txt = lineOutput<AddressOptions>({
  name: 'txt',
  title: 'one value per line',
  readers: 'whatever reads lines: `curl`, shell scripts, URL tables',
  comment: '#',
  // Who knows of no comments would take them for values.
  isCommented: false,
  types: null,
  options: addressOptions,
  linesOf: ({ type, value }, { prefixes }) =>
    type === 'ipv4' || type === 'ipv6' ? linesOfAddress(value, prefixes) : [value],
});

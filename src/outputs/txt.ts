import { indicatorsOf } from './ioc.ts';
import type { Output } from './output.ts';

/** One value per line and nothing else: what block lists and shell loops read. No rows is an empty document. */
export const txt: Output = {
  name: 'txt',
  mediaType: 'text/plain; charset=utf-8',
  aliases: [],
  async *write({ slices }) {
    for await (const slice of slices) {
      const rows = indicatorsOf(slice);
      if (rows.length > 0) yield rows.map(({ value }) => `${value}\n`).join('');
    }
  },
};

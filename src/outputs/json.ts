import { frameList } from '../model/json-frame.ts';
import { indicatorsOf, iocOf } from './ioc.ts';
import { noOptions } from './options.ts';
import type { Output } from './output.ts';

/** SOC Defenders' form: `meta` and `links` of the page, then its rows as `data`. */
export const json: Output = {
  name: 'json',
  title: 'a page of rows in SOC Defenders’ shape',
  mediaType: 'application/json; charset=utf-8',
  aliases: [],
  extension: 'json',
  options: noOptions,
  expressesObjects: false,
  isAppendable: false,
  async *write({ slices, about }) {
    const { opening, closing } = frameList(about, 'data');
    yield opening;
    let separator = '';
    for await (const slice of slices) {
      const rows = indicatorsOf(slice);
      if (rows.length === 0) continue;
      yield separator + rows.map((entry) => JSON.stringify(iocOf(entry))).join(',');
      separator = ',';
    }
    yield closing;
  },
};

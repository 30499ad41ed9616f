import { stringify } from 'csv-stringify/sync';
import { type Ioc, indicatorsOf, iocOf } from './ioc.ts';
import { noOptions } from './options.ts';
import type { Output } from './output.ts';

/** SOC Defenders' ten columns, and behind them one of our own. */
const columns: Record<string, (ioc: Ioc) => string> = {
  id: ({ id }) => id,
  type: ({ type }) => type,
  value: ({ value }) => value,
  confidence: ({ confidence }) => confidence ?? '',
  first_seen: ({ first_seen }) => first_seen ?? '',
  last_seen: ({ last_seen }) => last_seen ?? '',
  source_article: ({ source }) => source.article_url ?? source.article_title ?? '',
  source_feed: ({ source }) => source.feed_name,
  category: ({ source }) => source.category ?? '',
  tags: ({ tags }) => tags.join(';'),
  valid_until: ({ valid_until }) => valid_until ?? '',
};

/** The blanks before a formula, which some spreadsheets strip first. */
const FORMULA = /^\s+(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/;

/**
 * RFC 4180. A cell that a spreadsheet would run as a formula begins with an apostrophe: values come from strangers, and analysts open the
 * file in a spreadsheet.
 */
export const csv: Output = {
  name: 'csv',
  title: 'a table in SOC Defenders’ ten columns, and `valid_until`',
  mediaType: 'text/csv; charset=utf-8',
  aliases: [],
  extension: 'csv',
  options: noOptions,
  expressesObjects: false,
  // Its first line is a header.
  isAppendable: false,
  isWhole: true,
  readers: 'spreadsheets, pandas, lookups of SIEMs',
  async *write({ slices }) {
    const options = { escape_formulas: true, record_delimiter: '\r\n', quoted_match: /[\r\n]/ } as const;
    yield stringify([Object.keys(columns)], options);
    for await (const slice of slices) {
      const rows = indicatorsOf(slice).map((entry) => {
        const ioc = iocOf(entry);
        return Object.values(columns).map((cellOf) => cellOf(ioc).replace(FORMULA, "'$&"));
      });
      if (rows.length > 0) yield stringify(rows, options);
    }
  },
};

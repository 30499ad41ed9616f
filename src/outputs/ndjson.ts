import { renderEntry } from '../stix/render.ts';
import { noOptions } from './options.ts';
import type { Output } from './output.ts';

/** A STIX 2.1 object per line, for log shippers. A feed of format `stix` reads it again. */
export const ndjson: Output = {
  name: 'ndjson',
  title: 'a STIX object per line, as the log-file mode of Elastic’s integration reads them',
  mediaType: 'application/x-ndjson; charset=utf-8',
  aliases: ['application/ndjson', 'application/jsonl', 'application/x-jsonlines'],
  extension: 'ndjson',
  options: noOptions,
  expressesObjects: true,
  isAppendable: true,
  async *write({ slices, identityId, collection: { tlpVersion } }) {
    for await (const slice of slices) {
      if (slice.length > 0) yield slice.map((entry) => `${renderEntry(entry, { identityId, tlpVersion })}\n`).join('');
    }
  },
};

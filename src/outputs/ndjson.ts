import { renderEntry } from '../stix/render.ts';
import type { Output } from './output.ts';

/** A STIX 2.1 object per line: what log shippers read, and what a feed of format `stix` takes in again. */
export const ndjson: Output = {
  name: 'ndjson',
  mediaType: 'application/x-ndjson; charset=utf-8',
  aliases: ['application/ndjson', 'application/jsonl', 'application/x-jsonlines'],
  async *write({ slices, identityId, tlpVersion }) {
    for await (const slice of slices) {
      if (slice.length > 0) yield slice.map((entry) => `${renderEntry(entry, { identityId, tlpVersion })}\n`).join('');
    }
  },
};
